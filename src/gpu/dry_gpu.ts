/**
 * A `Gpu` that computes nothing. Operators make plans on it as on a real `Gpu`, and `recordPlan`
 * reads which kernels a plan would dispatch. So tests and tools can read a plan's kernels and
 * memory use without an adapter, without compiling and without allocating.
 */
import { Gpu } from "./gpu.ts";
import type { GpuInfo } from "./gpu_info.ts";
import type { Plan } from "./plan.ts";

/** What a plan would do. */
export interface PlanRecord {
  /**
   * Every dispatch: the WGSL, the bytes of its uniform parameters, and the workgroups in x, y and
   * z.
   */
  readonly dispatches: readonly {
    readonly code: string;
    readonly parameters: readonly number[];
    readonly workgroups: readonly number[];
  }[];
}

interface DryBuffer {
  readonly size: number;
  bytes: readonly number[];
  destroy(): void;
}

interface DryEntry {
  readonly binding: number;
  readonly resource: { readonly buffer: DryBuffer };
}

interface DryPipeline {
  readonly code: string;
  getBindGroupLayout(): object;
}

/**
 * Creates a `Gpu` with given features and limits but no device. Its tensors cannot be read.
 *
 * @param info the GPU to imitate
 * @returns the `Gpu`; {@linkcode recordPlan} reads the plans made on it
 *
 * @example
 * ```ts
 * import { openGpu, planRmsNormForward } from "@gradsink/gradsink";
 * import { createDryGpu, recordPlan } from "./dry_gpu.ts";
 *
 * using gpu = await openGpu();
 * using dry = createDryGpu(gpu.info);
 * const { plan } = planRmsNormForward(dry, { input: dry.empty([4, 8]), gain: dry.empty([8]) });
 * console.log(recordPlan(plan).dispatches.map(({ workgroups }) => workgroups));
 * ```
 */
export function createDryGpu(info: GpuInfo): Gpu {
  const device = {
    // WebGPU guarantees this value everywhere; `info.limits` may lack it.
    limits: { minStorageBufferOffsetAlignment: 256, ...info.limits },
    features: new Set(info.features),
    lost: new Promise<never>(() => {}),
    addEventListener(): void {},
    pushErrorScope(): void {},
    popErrorScope: () => Promise.resolve(null),
    destroy(): void {},
    createBuffer: ({ size }: { size: number }): DryBuffer => ({ size, bytes: [], destroy() {} }),
    createTexture: (
      { size: [width, height, depthOrArrayLayers] }: { size: readonly [number, number, number] },
    ) => ({
      width,
      height,
      depthOrArrayLayers,
      createView: () => ({}),
      destroy() {},
    }),
    createShaderModule: ({ code }: { code: string }) => ({
      code,
      getCompilationInfo: () => Promise.resolve({ messages: [] }),
    }),
    createComputePipeline: (
      { compute: { module } }: { compute: { module: { code: string } } },
    ): DryPipeline => ({ code: module.code, getBindGroupLayout: () => ({}) }),
    createBindGroup: ({ entries }: { entries: readonly DryEntry[] }) => entries,
    queue: {
      // Keeps uniforms, which come as an ArrayBuffer. Drops tensors, which come as a view: a plan
      // does not depend on the contents of tensors.
      writeBuffer(buffer: DryBuffer, _offset: number, data: ArrayBuffer | ArrayBufferView): void {
        if (data instanceof ArrayBuffer) buffer.bytes = [...new Uint8Array(data)];
      },
      submit(): void {},
      onSubmittedWorkDone: () => Promise.resolve(),
    },
  };
  return new Gpu(device as unknown as GPUDevice, info);
}

/** Reads a plan that was made on the `Gpu` of {@linkcode createDryGpu}. */
export function recordPlan(plan: Plan): PlanRecord {
  const dispatches: PlanRecord["dispatches"][number][] = [];
  let code = "";
  let parameters: readonly number[] = [];
  const pass = {
    setPipeline(pipeline: DryPipeline): void {
      code = pipeline.code;
    },
    setBindGroup(_index: number, entries: readonly DryEntry[]): void {
      parameters = entries.find(({ binding }) => binding === 0)?.resource.buffer.bytes ?? [];
    },
    dispatchWorkgroups(...workgroups: number[]): void {
      dispatches.push({ code, parameters, workgroups });
    },
  };
  plan.encode(pass as unknown as GPUComputePassEncoder);
  return { dispatches };
}
