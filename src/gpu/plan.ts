import type { BufferOwner } from "./owner.ts";
import { checkDispatches } from "./plan/checked.ts";
import { type Cost, type ImageCopy, isCopy, type PlanOptions } from "./plan/dispatch.ts";
import type { Recorder } from "./plan/recorder.ts";
import { type BoundDispatch, Staging } from "./plan/staging.ts";
import { MatrixImage } from "./plan/matrix_image.ts";
import { Tensor } from "./tensor.ts";

export type { Bound, Cost, Dispatch, ImageCopy, PlanOptions } from "./plan/dispatch.ts";

interface Step {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number?, number?];
}

/**
 * Records one run of a plan. Only `Gpu.run` may call this, because it submits the run at once.
 * Other code calls `Plan.encode`.
 */
export let encodeForRun: (plan: Plan, recorder: Recorder) => void;

/**
 * An operator that is ready to run: pipelines, bind groups, workgroup counts and cost. It can run
 * any number of times. Each run reads the current input tensors and overwrites the output tensors.
 *
 * The operators' `plan…` functions make one. With `new Plan` you run a kernel of your own.
 *
 * @example A plan of an operator
 * ```ts
 * import { openGpu, planRmsNormForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([3, 4], [1, 2]);
 * const gain = gpu.tensor([1, 1], [2]);
 * const { plan, output } = planRmsNormForward(gpu, { input, gain });
 * gpu.run(plan);
 * gpu.run(plan); // the same numbers again
 * console.log(await output.read(), plan.cost);
 * plan.dispose();
 * ```
 *
 * @example A kernel of your own
 * ```ts
 * import { openGpu, Plan } from "@gradsink/gradsink";
 *
 * const source = `
 *   struct Parameters { elements: u32, cap: f32 }
 *   @group(0) @binding(0) var<uniform> parameters: Parameters;
 *   @group(0) @binding(1) var<storage, read> x: array<f32>;
 *   @group(0) @binding(2) var<storage, read_write> y: array<f32>;
 *
 *   @compute @workgroup_size(64)
 *   fn main(@builtin(global_invocation_id) id: vec3u) {
 *     if (id.x >= parameters.elements) { return; }
 *     y[id.x] = parameters.cap * tanh(x[id.x] / parameters.cap);
 *   }`;
 *
 * using gpu = await openGpu();
 * using x = gpu.tensor([-100, 0, 1, 100], [4]);
 * using y = gpu.empty([4]);
 * using plan = new Plan(gpu, {
 *   operator: "softcap",
 *   cost: { flops: 3 * x.length, bytes: 8 * x.length },
 *   dispatches: [{
 *     kernel: { parts: [{ file: "softcap.wgsl", source }] },
 *     parameters: [{ u32: x.length }, { f32: 30 }],
 *     buffers: [x, y],
 *     workgroups: [Math.ceil(x.length / 64)],
 *   }],
 *   tensors: { x, y },
 * });
 * gpu.run(plan);
 * console.log(await y.read()); // about -30, 0, 1, 30
 * ```
 */
export class Plan {
  /** The operator that was planned, for example `attentionForward`. */
  readonly operator: string;
  /** The least arithmetic and memory traffic of one run. */
  readonly cost: Cost;
  readonly #gpu: BufferOwner;
  readonly #steps: readonly (Step | ImageCopy)[];
  readonly #buffers: readonly (GPUBuffer | MatrixImage)[];
  /** The tensors and images that a run reads or writes, with their names. */
  readonly #tensors: ReadonlyMap<Tensor | MatrixImage, string>;
  readonly #written: ReadonlySet<Tensor>;
  #disposed = false;

  static {
    encodeForRun = (plan, recorder) => plan.#record(recorder);
  }

  /**
   * Compiles the kernels and binds their buffers.
   *
   * @param gpu the GPU that holds the tensors
   * @param options the operator's name, cost and dispatches; from this call on, the plan owns
   *   `scratch`
   * @throws {TypeError} if an option is missing, a kernel lacks a declaration that its `constants`
   *   name, a dispatch's buffers differ from its kernel's bindings, a written buffer shares memory
   *   with another one, or a tensor has been disposed of; nothing is enqueued
   * @throws {RangeError} if a dispatch has more workgroups in a dimension than the adapter allows
   */
  constructor(gpu: BufferOwner, options: PlanOptions) {
    this.operator = options.operator;
    this.cost = options.cost;
    this.#gpu = gpu;
    const buffers: (GPUBuffer | MatrixImage)[] = [...options.scratch ?? []];
    this.#buffers = buffers;
    try {
      const checked = checkDispatches(gpu, options);
      const copies = checked.filter((one) => isCopy(one));
      const all = checked.flatMap((one) => isCopy(one) ? [] : one.bindings);
      this.#tensors = new Map([
        ...copies.map(({ source }) => [source, "a copied matrix"] as const),
        ...all.flatMap(({ bound, name }) =>
          bound instanceof Tensor || bound instanceof MatrixImage ? [[bound, name] as const] : []
        ),
      ]);
      this.#written = new Set(
        all.flatMap(({ bound, written }) => written && bound instanceof Tensor ? [bound] : []),
      );
      const staging = new Staging(gpu, buffers);
      this.#steps = gpu.guard(
        options.operator,
        () =>
          checked.flatMap((one): (Step | ImageCopy)[] => {
            if (isCopy(one)) return [one];
            const { bindings, ...dispatch } = one;
            return staging.surround(dispatch, bindings)
              .map((bound) => makeStep(gpu, options.operator, { bound, buffers }));
          }),
      );
    } catch (error) {
      free(gpu, buffers);
      throw error;
    }
  }

  /** The number of dispatches in one run; copies of slices and copies to images count too. */
  get dispatches(): number {
    return this.#steps.length;
  }

  /**
   * Records one run into a compute pass that the caller opened on the same device. From then on
   * `Tensor.uploaded` is undefined for the tensors that the plan writes, because the caller may
   * submit at any time.
   *
   * @param pass the open compute pass
   * @throws {TypeError} if the plan, or a tensor that it reads or writes, has been disposed of, or
   *   if the plan copies matrices to images, which is impossible in a compute pass
   */
  encode(pass: GPUComputePassEncoder): void {
    if (this.#steps.some((step) => isCopy(step))) {
      throw new TypeError(`${this.operator}: the plan copies to images; run it with Gpu.run`);
    }
    this.#record({ pass });
    for (const tensor of this.#written) tensor.forget({ forGood: true });
  }

  /** True if the plan was made for this `Gpu`. */
  belongsTo(gpu: BufferOwner): boolean {
    return this.#gpu === gpu;
  }

  /**
   * Frees the plan's own buffers (not its output tensors). Work already enqueued still finishes.
   */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    free(this.#gpu, this.#buffers);
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #record(recorder: Pick<Recorder, "pass"> & Partial<Recorder>): void {
    if (this.#disposed) throw new TypeError(`${this.operator}: the plan has been disposed of`);
    for (const [tensor, name] of this.#tensors) {
      if (tensor.freed) throw new TypeError(`${this.operator}: ${name} has been disposed of`);
    }
    for (const step of this.#steps) {
      if (isCopy(step)) {
        const { buffer, offset } = step.source.region;
        step.image.copyFrom(recorder.encoder!, buffer, offset);
        continue;
      }
      const { pass } = recorder;
      pass.setPipeline(step.pipeline);
      pass.setBindGroup(0, step.bindGroup);
      pass.dispatchWorkgroups(...step.workgroups);
    }
    for (const tensor of this.#written) tensor.forget();
  }
}

function free(gpu: BufferOwner, owned: readonly (GPUBuffer | MatrixImage)[]): void {
  for (const one of owned) {
    if (one instanceof MatrixImage) one.dispose();
    else gpu.free(one);
  }
}

// Makes a step's pipeline and bind group. If the step has parameters, adds their uniform buffer to
// `buffers`, which the plan frees.
function makeStep(
  gpu: BufferOwner,
  operator: string,
  { bound: { kernel, parameters, resources, workgroups }, buffers }: {
    readonly bound: BoundDispatch;
    readonly buffers: (GPUBuffer | MatrixImage)[];
  },
): Step {
  const entries: GPUBindGroupEntry[] = resources.map((resource, i) => ({
    binding: i + 1,
    resource,
  }));
  if (parameters.length > 0) {
    const uniform = gpu.uniform(parameters);
    buffers.push(uniform);
    entries.unshift({ binding: 0, resource: { buffer: uniform } });
  }
  const pipeline = gpu.pipelines.compile(operator, kernel);
  const bindGroup = gpu.device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries,
  });
  return { pipeline, bindGroup, workgroups };
}
