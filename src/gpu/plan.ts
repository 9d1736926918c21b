import type { BufferOwner, Scalar } from "./owner.ts";
import type { Kernel } from "./pipelines.ts";

/**
 * The least arithmetic and memory traffic that an operation needs: each input read once, each
 * output written once. Throughput figures divide these by time; nothing else counts operations.
 */
export interface Cost {
  /** Floating-point operations; a multiply-add counts as two. */
  readonly flops: number;
  /** Bytes read and written. */
  readonly bytes: number;
}

/** One dispatch of a plan. */
export interface Dispatch {
  /** What to run. */
  readonly kernel: Kernel;
  /** The kernel's uniform parameters, in the order of its struct; bound at 0. */
  readonly parameters: readonly Scalar[];
  /** The kernel's storage buffers, or parts of them, bound from 1 on. */
  readonly buffers: readonly (GPUBuffer | GPUBufferBinding)[];
  /** Workgroups in x, y and z. */
  readonly workgroups: readonly [number, number?, number?];
}

/** What `Plan` is made from. */
export interface PlanOptions {
  /** The operator's name: errors and measurements carry it. */
  readonly operator: string;
  /** What one run costs at the least. */
  readonly cost: Cost;
  /** In the order of execution; each sees what the ones before it wrote. */
  readonly dispatches: readonly Dispatch[];
  /** Buffers that the plan owns: freed when it is disposed of. */
  readonly scratch?: readonly GPUBuffer[];
}

interface Step {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number?, number?];
}

/**
 * An operator made ready to run: pipelines, bind groups, workgroup counts and cost. It can be run
 * any number of times; each run reads its input tensors anew and overwrites its output tensors.
 *
 * @example
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
 */
export class Plan {
  /** The operator that was planned, for example `attentionForward`. */
  readonly operator: string;
  /** What one run costs at the least. */
  readonly cost: Cost;
  readonly #gpu: BufferOwner;
  readonly #steps: readonly Step[];
  readonly #buffers: readonly GPUBuffer[];
  #disposed = false;

  /** Made by the operators' `plan…` functions. */
  constructor(gpu: BufferOwner, options: PlanOptions) {
    this.operator = options.operator;
    this.cost = options.cost;
    this.#gpu = gpu;
    const uniforms: GPUBuffer[] = [];
    this.#steps = gpu.guard(options.operator, () =>
      options.dispatches.map((dispatch) => {
        const uniform = gpu.uniform(dispatch.parameters);
        uniforms.push(uniform);
        const pipeline = gpu.pipelines.get(options.operator, dispatch.kernel);
        const bindGroup = gpu.device.createBindGroup({
          layout: pipeline.getBindGroupLayout(0),
          entries: [uniform, ...dispatch.buffers].map((buffer, binding) => ({
            binding,
            resource: "buffer" in buffer ? buffer : { buffer },
          })),
        });
        return { pipeline, bindGroup, workgroups: dispatch.workgroups };
      }));
    this.#buffers = [...uniforms, ...options.scratch ?? []];
  }

  /** The number of dispatches of one run. */
  get dispatches(): number {
    return this.#steps.length;
  }

  /**
   * Records one run into a compute pass that the caller opened on the same device.
   *
   * @param pass the open compute pass
   * @throws {TypeError} if the plan has been disposed of
   */
  encode(pass: GPUComputePassEncoder): void {
    if (this.#disposed) throw new TypeError(`${this.operator}: the plan has been disposed of`);
    for (const { pipeline, bindGroup, workgroups } of this.#steps) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...workgroups);
    }
  }

  /** True if the plan was made for this `Gpu`. */
  belongsTo(gpu: BufferOwner): boolean {
    return this.#gpu === gpu;
  }

  /** Frees the plan's own buffers (not its output tensors). Work already enqueued still finishes. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const buffer of this.#buffers) this.#gpu.free(buffer);
  }

  /** The same as `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
