/**
 * Attention sinks, gradient sinks and massive activations: fused causal attention, RMSNorm and
 * V-scale as WGSL kernels, forward and backward, with a float64 twin on the CPU.
 *
 * Tensors are row-major float32. Every operator enqueues its work and returns at once; `read()`
 * waits.
 *
 * @example
 * ```ts
 * import { openGpu, rmsNormForward } from "@gradsink/gradsink";
 *
 * using gpu = await openGpu();
 * const input = gpu.tensor([3, 4], [1, 2]);
 * const gain = gpu.tensor([1, 1], [2]);
 * const { output } = rmsNormForward(gpu, { input, gain });
 * console.log(await output.read());
 * ```
 *
 * @module
 */
export { openGpu, type OpenGpuOptions } from "./src/ops/open_gpu.ts";
export type { OpenGpuOptions as AdapterOptions } from "./src/gpu/open_gpu.ts";
export { Gpu } from "./src/gpu/gpu.ts";
export { GpuError } from "./src/gpu/gpu_error.ts";
export type { GpuInfo, Runtime, SubgroupSize } from "./src/gpu/gpu_info.ts";
export {
  type Kernel,
  type KernelPart,
  type LanguageFeature,
  PipelineCache,
  type PreparedKernel,
} from "./src/gpu/pipelines.ts";
export type { BufferOwner, Scalar } from "./src/gpu/owner.ts";
export {
  type Bound,
  type Cost,
  type Dispatch,
  type ImageCopy,
  Plan,
  type PlanOptions,
} from "./src/gpu/plan.ts";
export { type ImageLayout, MatrixImage } from "./src/gpu/plan/matrix_image.ts";
export type { KernelBinding } from "./src/gpu/plan/kernel_bindings.ts";
export type { Specialization } from "./src/gpu/specialize.ts";
export { Tensor } from "./src/gpu/tensor.ts";
export { spreadWorkgroups } from "./src/gpu/workgroups.ts";
export * from "./src/ops/arithmetic/adamw.ts";
export * from "./src/ops/arithmetic/add.ts";
export * from "./src/ops/attention.ts";
export type { AttentionPrecise } from "./src/ops/attention/precise.ts";
export type { AttentionVScale } from "./src/ops/attention/shape.ts";
export * from "./src/ops/attention_sink_statistics.ts";
export * from "./src/ops/arithmetic/copy.ts";
export * from "./src/ops/model/attention_gate.ts";
export * from "./src/ops/model/cross_entropy.ts";
export * from "./src/ops/model/embedding.ts";
export * from "./src/ops/arithmetic/fake_quantize.ts";
export * from "./src/ops/arithmetic/gradient_norm.ts";
export * from "./src/ops/model/heads.ts";
export * from "./src/ops/v_scale/learned_constant.ts";
export * from "./src/ops/matmul.ts";
export * from "./src/ops/model/projections.ts";
export * from "./src/ops/model/rotary_angles.ts";
export * from "./src/ops/rms_norm.ts";
export * from "./src/ops/arithmetic/sum.ts";
export * from "./src/ops/model/swiglu.ts";
export * from "./src/ops/v_scale.ts";
export type { Planned } from "./src/ops/shared/run_once.ts";
export * as reference from "./src/reference/mod.ts";
