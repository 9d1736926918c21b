/** RMSNorm, forward and backward. */
import type { Gpu } from "../gpu/gpu.ts";
import { type Cost, Plan } from "../gpu/plan.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { rmsNormBackwardVariants } from "./rms_norm/backward_variants.ts";
import { rmsNormForwardVariants } from "./rms_norm/forward_variants.ts";
import { type RowShape, rowShapeClass } from "./rows/parts.ts";
import { type Planned, runOnce } from "./shared/run_once.ts";
import {
  checkCall,
  checkFinite,
  checkShape,
  checkTensor,
  checkWorkgroups,
  elementCount,
  emptyTensors,
  outputTensors,
  shapeText,
} from "./shared/validation.ts";
import { chooseVariant } from "./shared/variants.ts";

/** Arguments of {@linkcode rmsNormForward}. */
export interface RmsNormForwardOptions {
  /** `[…, d]`: every row of d numbers is normalized separately. */
  readonly input: Tensor;
  /** `[d]` */
  readonly gain: Tensor;
  /** Added to the mean square; at least 0. Default: 1e-5. */
  readonly epsilon?: number;
  /**
   * The name of one of the operator's variants. Default: the fastest known for this adapter and
   * shape.
   */
  readonly variant?: string;
}

/** Results of {@linkcode rmsNormForward}. */
export interface RmsNormForwardResult {
  /** Of the input's shape. */
  readonly output: Tensor;
  /**
   * `1 / sqrt(mean(x²) + epsilon)` of every row; the input's shape without its last dimension,
   * `[1]` if the input is `[d]`.
   */
  readonly inverseRms: Tensor;
}

/** Arguments of {@linkcode rmsNormBackward}. */
export interface RmsNormBackwardOptions {
  /** `[…, d]`, as given to the forward. */
  readonly input: Tensor;
  /** `[d]`, as given to the forward. */
  readonly gain: Tensor;
  /** The forward's inverseRms. */
  readonly inverseRms: Tensor;
  /** The loss's gradient with respect to the output; of the input's shape. */
  readonly outputGradient: Tensor;
  /** The tensor for the gain's gradient, `[d]`. Default: a new one. */
  readonly gainGradient?: Tensor;
  /**
   * The name of one of the operator's variants. Default: the fastest known for this adapter and
   * shape.
   */
  readonly variant?: string;
}

/** Results of {@linkcode rmsNormBackward}. */
export interface RmsNormBackwardResult {
  /** Of the input's shape. */
  readonly inputGradient: Tensor;
  /** `[d]`, summed over the rows. */
  readonly gainGradient: Tensor;
}

interface Matrix extends RowShape {
  /** The input's shape without its last dimension: one number per row. */
  readonly rowShape: readonly number[];
}

function checkInput(gpu: Gpu, operator: string, { input, gain }: RmsNormForwardOptions): Matrix {
  checkTensor(gpu, input, { operator, name: "input" });
  const columns = input.shape.at(-1) ?? 1;
  const because = `input is ${shapeText(input.shape)}`;
  checkShape(gpu, gain, { operator, name: "gain", wanted: [columns], because });
  const leading = input.shape.slice(0, -1);
  return { rows: elementCount(leading), columns, rowShape: leading.length > 0 ? leading : [1] };
}

// Per element: a square, a sum and two multiplications. Bytes: the input, gain, output and one
// number per row.
function forwardCost({ rows, columns }: Matrix): Cost {
  return { flops: 4 * rows * columns, bytes: 4 * (2 * rows * columns + columns + rows) };
}

// Per element, with g the outputGradient: one operation each for u = gain g and n = x inverseRms,
// two for the mean of u n, three for (u − n mean) inverseRms, and two for the gain's gradient.
function backwardCost({ rows, columns }: Matrix): Cost {
  return { flops: 9 * rows * columns, bytes: 4 * (3 * rows * columns + 2 * columns + rows) };
}

/**
 * Prepares {@linkcode rmsNormForward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensors
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a wrong epsilon or variant, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planRmsNormForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { plan, output } = planRmsNormForward(gpu, {
 *   input: gpu.tensor([3, 4], [1, 2]),
 *   gain: gpu.tensor([1, 1], [2]),
 * });
 * gpu.run(plan);
 * console.log(await output.read());
 * ```
 */
export function planRmsNormForward(
  gpu: Gpu,
  options: RmsNormForwardOptions,
): Planned<RmsNormForwardResult> {
  const operator = "rmsNormForward";
  checkCall(operator, gpu, options);
  const { input, gain, epsilon = 1e-5 } = options;
  const matrix = checkInput(gpu, operator, options);
  checkFinite(epsilon, { operator, name: "epsilon", minimum: 0 });
  const variant = chooseVariant(gpu, rmsNormForwardVariants, {
    operator,
    shapeClass: rowShapeClass(matrix),
    shape: matrix,
    wanted: options.variant,
  });
  const outputs = emptyTensors(gpu, operator, { output: input.shape, inverseRms: matrix.rowShape });
  const plan = new Plan(gpu, {
    operator,
    tensors: { input, gain, ...outputs },
    cost: forwardCost(matrix),
    ...variant.plan(gpu, { shape: matrix, epsilon, input, gain, ...outputs }),
  });
  return { plan, ...outputs };
}

/**
 * RMSNorm: `y = gain ⊙ x / sqrt(mean(x²) + epsilon)`, row by row.
 *
 * Source: Zhang and Sennrich, arXiv 1910.07467.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `input` [rows…, d], `gain` [d], `epsilon` (default 1e-5)
 * @returns `output` [rows…, d], `inverseRms` [rows…]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for a wrong epsilon or variant, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, rmsNormForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([3, 4], [1, 2]);
 * const gain = gpu.tensor([1, 1], [2]);
 * const { output } = rmsNormForward(gpu, { input, gain });
 * console.log(await output.read()); // 0.8485, 1.1314
 * ```
 */
export function rmsNormForward(gpu: Gpu, options: RmsNormForwardOptions): RmsNormForwardResult {
  return runOnce(gpu, planRmsNormForward(gpu, options));
}

/**
 * Prepares {@linkcode rmsNormBackward} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensors
 * @throws {TypeError} for wrong types or shapes, or if `gainGradient` shares memory with an input
 * @throws {RangeError} for a wrong variant, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planRmsNormBackward, rmsNormForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([3, 4], [1, 2]);
 * const gain = gpu.tensor([1, 1], [2]);
 * const { inverseRms } = rmsNormForward(gpu, { input, gain });
 * const outputGradient = gpu.tensor([1, 0], [1, 2]);
 * const { plan, inputGradient } = planRmsNormBackward(gpu, {
 *   input,
 *   gain,
 *   inverseRms,
 *   outputGradient,
 * });
 * gpu.run(plan);
 * console.log(plan.cost.bytes, await inputGradient.read());
 * ```
 */
export function planRmsNormBackward(
  gpu: Gpu,
  options: RmsNormBackwardOptions,
): Planned<RmsNormBackwardResult> {
  const operator = "rmsNormBackward";
  checkCall(operator, gpu, options);
  const { input, gain, inverseRms, outputGradient } = options;
  const matrix = checkInput(gpu, operator, options);
  const { columns, rowShape } = matrix;
  const because = `input is ${shapeText(input.shape)}`;
  checkShape(gpu, inverseRms, { operator, name: "inverseRms", wanted: rowShape, because });
  checkShape(gpu, outputGradient, {
    operator,
    name: "outputGradient",
    wanted: input.shape,
    because,
  });
  checkWorkgroups(gpu, Math.ceil(columns / 64), { operator, name: "d" });
  const variant = chooseVariant(gpu, rmsNormBackwardVariants, {
    operator,
    shapeClass: rowShapeClass(matrix),
    shape: matrix,
    wanted: options.variant,
  });
  const { gainGradient } = options;
  const outputs = outputTensors(gpu, operator, {
    shapes: { inputGradient: input.shape, gainGradient: [columns] },
    given: gainGradient === undefined ? {} : { gainGradient },
    inputs: { input, gain, inverseRms, outputGradient },
  });
  const plan = new Plan(gpu, {
    operator,
    tensors: { input, gain, inverseRms, outputGradient, ...outputs },
    cost: backwardCost(matrix),
    ...variant.plan(gpu, { shape: matrix, input, gain, inverseRms, outputGradient, ...outputs }),
  });
  return { plan, ...outputs };
}

/**
 * The gradients of {@linkcode rmsNormForward}. With `g` the outputGradient, `u = gain ⊙ g`,
 * `r = 1/inverseRms`: `∂L/∂x = u/r − x ⟨u,x⟩/(d r³)`, `∂L/∂gain = Σ_rows g ⊙ x / r`.
 *
 * It is accurate for finite input numbers of any magnitude. Adapters may flush products below
 * 1.2·10⁻³⁸ to zero, so elements of `outputGradient` below about 10⁻³⁰ lose digits: the error is at
 * most `1.2·10⁻³⁸ · d · inverseRms`.
 *
 * Source: Zhang and Sennrich, arXiv 1910.07467; as a compressor of gradients: Chen, Lin, Yao, arXiv
 * 2603.17771.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `input` [rows…, d], `gain` [d], `inverseRms` [rows…], `outputGradient` [rows…, d]
 * @returns `inputGradient` [rows…, d], `gainGradient` [d]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes, or if `gainGradient` shares memory with an input
 * @throws {RangeError} for a wrong variant, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, rmsNormBackward, rmsNormForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([3, 4], [1, 2]);
 * const gain = gpu.tensor([1, 1], [2]);
 * const { inverseRms } = rmsNormForward(gpu, { input, gain });
 * const outputGradient = gpu.tensor([1, 0], [1, 2]);
 * const { inputGradient } = rmsNormBackward(gpu, { input, gain, inverseRms, outputGradient });
 * console.log(await inputGradient.read()); // 0.1810, -0.1358: at a right angle to the input
 * ```
 */
export function rmsNormBackward(gpu: Gpu, options: RmsNormBackwardOptions): RmsNormBackwardResult {
  return runOnce(gpu, planRmsNormBackward(gpu, options));
}
