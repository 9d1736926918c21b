/**
 * Splits attention's joint projection into the heads of query, key and value, and applies RoPE.
 * Also computes the gradient of this operation.
 */
import mergeSource from "../../../kernels/model/merge_projections.wgsl" with { type: "text" };
import projectionsSource from "../../../kernels/model/projections.wgsl" with { type: "text" };
import splitSource from "../../../kernels/model/split_projections.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import type { KernelPart } from "../../gpu/pipelines.ts";
import { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { ElementKernel } from "../rows/parts.ts";
import { compiledLengths } from "../shared/compiled_lengths.ts";
import { type Planned, runOnce } from "../shared/run_once.ts";
import { checkCall, checkShape, emptyTensors, spreadWorkgroups } from "../shared/validation.ts";
import { checkColumns, checkProjections, type ProjectionsShape } from "./projections/shape.ts";

const projections: KernelPart = { file: "model/projections.wgsl", source: projectionsSource };

// An element is a vector of 4 or 2 neighboring numbers. An invocation computes one element in the
// first half of a head's row and the matching element in the second half, because RoPE rotates the
// two together.
function projectionsKernel(headDim: number, part: KernelPart): ElementKernel {
  const width = headDim % 8 === 0 ? 4 : 2;
  return {
    kernel: { parts: [projections, part], constants: { Element: `vec${width}f` } },
    elements: headDim / 2 / width,
  };
}

/** Query, key and value of attention. */
export interface ProjectedHeads {
  /** `[B, Hq, T, D]` */
  readonly query: Tensor;
  /** `[B, Hkv, T, D]` */
  readonly key: Tensor;
  /** `[B, Hkv, T, D]` */
  readonly value: Tensor;
}

/** Arguments of {@linkcode splitProjections}. */
export interface SplitProjectionsOptions {
  /**
   * `[B, T, (Hq + 2 Hkv) · D]`: a row holds the query heads, then the key heads, then the value
   * heads.
   */
  readonly projections: Tensor;
  /** Hq */
  readonly queryHeads: number;
  /** Hkv */
  readonly keyValueHeads: number;
  /** `[T, D]`, from {@linkcode rotaryAngles}. */
  readonly angles: Tensor;
}

/** Arguments of {@linkcode mergeProjections}. */
export interface MergeProjectionsOptions {
  /** The loss's gradient with respect to the query: `[B, Hq, T, D]`. */
  readonly queryGradient: Tensor;
  /** The gradient with respect to the key: `[B, Hkv, T, D]`. */
  readonly keyGradient: Tensor;
  /** The gradient with respect to the value: `[B, Hkv, T, D]`. */
  readonly valueGradient: Tensor;
  /** `[T, D]`, as given to `splitProjections`. */
  readonly angles: Tensor;
}

/** Results of {@linkcode mergeProjections}. */
export interface MergeProjectionsResult {
  /** `[B, T, (Hq + 2 Hkv) · D]` */
  readonly projectionsGradient: Tensor;
}

function makePlan(
  gpu: Gpu,
  operator: string,
  { shape, kernel: { kernel, elements }, tensors }: {
    readonly shape: ProjectionsShape;
    readonly kernel: ElementKernel;
    /** The tensors by name, in the order of the kernel's bindings. */
    readonly tensors: Readonly<Record<string, Tensor>>;
  },
): Plan {
  const { batches, sequenceLength, queryHeads, keyValueHeads, headDim } = shape;
  const rows = batches * sequenceLength;
  const heads = queryHeads + 2 * keyValueHeads;
  const turned = rows * (queryHeads + keyValueHeads) * headDim;
  const invocations = rows * heads * elements;
  return new Plan(gpu, {
    operator,
    tensors,
    // Per number that RoPE rotates: two products and a sum.
    cost: { flops: 3 * turned, bytes: 4 * (2 * rows * heads + sequenceLength) * headDim },
    dispatches: [{
      kernel: {
        ...kernel,
        constants: {
          ...kernel.constants,
          ...compiledLengths(gpu, {
            invocations,
            lengths: {
              LENGTH: sequenceLength,
              QUERY_HEADS: queryHeads,
              KEY_HEADS: keyValueHeads,
              ELEMENTS: elements,
            },
          }),
        },
      },
      parameters: [rows, sequenceLength, queryHeads, keyValueHeads, elements]
        .map((u32) => ({ u32 })),
      buffers: Object.values(tensors),
      workgroups: spreadWorkgroups(gpu, Math.ceil(invocations / 64)),
    }],
  });
}

/**
 * Prepares {@linkcode splitProjections} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors and numbers of heads
 * @returns the plan and its output tensors
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong numbers of heads, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planSplitProjections, rotaryAngles } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { plan, query } = planSplitProjections(gpu, {
 *   projections: gpu.tensor(new Float32Array(24).fill(1), [1, 2, 12]),
 *   queryHeads: 1,
 *   keyValueHeads: 1,
 *   angles: gpu.tensor(rotaryAngles({ sequenceLength: 2, headDim: 4 }), [2, 4]),
 * });
 * gpu.run(plan);
 * console.log(query.shape, plan.cost.flops);
 * ```
 */
export function planSplitProjections(
  gpu: Gpu,
  options: SplitProjectionsOptions,
): Planned<ProjectedHeads> {
  const operator = "splitProjections";
  checkCall(operator, gpu, options);
  const { projections, angles } = options;
  const shape = checkProjections(gpu, operator, options);
  const { batches, sequenceLength, queryHeads, keyValueHeads, headDim } = shape;
  checkShape(gpu, angles, { operator, name: "angles", wanted: [sequenceLength, headDim] });
  const keyShape = [batches, keyValueHeads, sequenceLength, headDim];
  const outputs = emptyTensors(gpu, operator, {
    query: [batches, queryHeads, sequenceLength, headDim],
    key: keyShape,
    value: keyShape,
  });
  const plan = makePlan(gpu, operator, {
    shape,
    kernel: projectionsKernel(headDim, {
      file: "model/split_projections.wgsl",
      source: splitSource,
    }),
    tensors: { angles, projections, query: outputs.query, key: outputs.key, value: outputs.value },
  });
  return { plan, ...outputs };
}

/**
 * Splits attention's joint projection into query, key and value, and applies RoPE to query and key.
 * Columns i and i + D/2 of a head, `x` and `y`, become `x cos − y sin` and `x sin + y cos`, where
 * cos and sin are those of angle i at the row's position t.
 *
 * Source: Su et al., arXiv 2104.09864, with the column order of Hugging Face's Llama.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `projections` [B, T, (Hq + 2 Hkv) · D], `queryHeads`, `keyValueHeads`, `angles`
 *   [T, D], D a multiple of 4
 * @returns `query` [B, Hq, T, D], `key` and `value` [B, Hkv, T, D]; enqueued, not waited for. The
 *   gradient is {@linkcode mergeProjections}.
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for wrong numbers of heads, or sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, rotaryAngles, splitProjections } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const { query, value } = splitProjections(gpu, {
 *   projections: gpu.tensor(new Float32Array(24).fill(1), [1, 2, 12]),
 *   queryHeads: 1,
 *   keyValueHeads: 1,
 *   angles: gpu.tensor(rotaryAngles({ sequenceLength: 2, headDim: 4 }), [2, 4]),
 * });
 * console.log(await query.read(), await value.read()); // the second row of query is turned
 * ```
 */
export function splitProjections(gpu: Gpu, options: SplitProjectionsOptions): ProjectedHeads {
  return runOnce(gpu, planSplitProjections(gpu, options));
}

/**
 * Prepares {@linkcode mergeProjections} without running it.
 *
 * @param gpu the GPU that holds the tensors
 * @param options the tensors
 * @returns the plan and its output tensor
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { openGpu, planMergeProjections, rotaryAngles } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const ones = gpu.tensor(new Float32Array(8).fill(1), [1, 1, 2, 4]);
 * const { plan, projectionsGradient } = planMergeProjections(gpu, {
 *   queryGradient: ones,
 *   keyGradient: ones,
 *   valueGradient: ones,
 *   angles: gpu.tensor(rotaryAngles({ sequenceLength: 2, headDim: 4 }), [2, 4]),
 * });
 * gpu.run(plan);
 * console.log(projectionsGradient.shape, plan.cost.flops);
 * ```
 */
export function planMergeProjections(
  gpu: Gpu,
  options: MergeProjectionsOptions,
): Planned<MergeProjectionsResult> {
  const operator = "mergeProjections";
  checkCall(operator, gpu, options);
  const { queryGradient, keyGradient, valueGradient, angles } = options;
  checkShape(gpu, queryGradient, {
    operator,
    name: "queryGradient",
    wanted: ["B", "Hq", "T", "D"],
  });
  const [batches, queryHeads, sequenceLength, headDim] = queryGradient.shape as [
    number,
    number,
    number,
    number,
  ];
  checkShape(gpu, keyGradient, {
    operator,
    name: "keyGradient",
    wanted: [batches, "Hkv", sequenceLength, headDim],
  });
  checkShape(gpu, valueGradient, {
    operator,
    name: "valueGradient",
    wanted: keyGradient.shape,
  });
  const keyValueHeads = keyGradient.shape[1]!;
  const shape = { batches, sequenceLength, queryHeads, keyValueHeads, headDim };
  checkColumns(operator, headDim);
  checkShape(gpu, angles, { operator, name: "angles", wanted: [sequenceLength, headDim] });
  const outputs = emptyTensors(gpu, operator, {
    projectionsGradient: [batches, sequenceLength, (queryHeads + 2 * keyValueHeads) * headDim],
  });
  const plan = makePlan(gpu, operator, {
    shape,
    kernel: projectionsKernel(headDim, {
      file: "model/merge_projections.wgsl",
      source: mergeSource,
    }),
    tensors: { angles, queryGradient, keyGradient, valueGradient, ...outputs },
  });
  return { plan, ...outputs };
}

/**
 * The gradient of {@linkcode splitProjections}: rotates the gradients of query and key back, and
 * joins them with the value's gradient. Rotations are orthogonal, so this is also the inverse.
 *
 * @param gpu the GPU that holds the tensors
 * @param options `queryGradient` [B, Hq, T, D], `keyGradient` and `valueGradient` [B, Hkv, T, D],
 *   `angles` [T, D]
 * @returns `projectionsGradient` [B, T, (Hq + 2 Hkv) · D]; enqueued, not waited for
 * @throws {TypeError} for wrong types or shapes
 * @throws {RangeError} for sizes beyond the adapter's limits
 *
 * @example
 * ```ts
 * import { mergeProjections, openGpu, rotaryAngles } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const ones = gpu.tensor(new Float32Array(8).fill(1), [1, 1, 2, 4]);
 * const { projectionsGradient } = mergeProjections(gpu, {
 *   queryGradient: ones,
 *   keyGradient: ones,
 *   valueGradient: ones,
 *   angles: gpu.tensor(rotaryAngles({ sequenceLength: 2, headDim: 4 }), [2, 4]),
 * });
 * console.log(projectionsGradient.shape, await projectionsGradient.read());
 * ```
 */
export function mergeProjections(
  gpu: Gpu,
  options: MergeProjectionsOptions,
): MergeProjectionsResult {
  return runOnce(gpu, planMergeProjections(gpu, options));
}
