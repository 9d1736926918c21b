/**
 * The float64 twin: every operator in plain loops on the CPU, with the argument names and shapes of
 * the GPU's operators. The module also exports closed forms of the operators' Jacobians, and finite
 * differences that check the gradients.
 *
 * @module
 */
export * from "./attention.ts";
export * from "./attention_sink_statistics.ts";
export * from "./finite_differences.ts";
export * from "./jacobians.ts";
export { matmul, type MatmulOptions } from "./matmul.ts";
export * from "./rms_norm.ts";
export * from "./tensor.ts";
export * from "./v_scale.ts";
export type { Complex } from "./complex.ts";
/**
 * Complex numbers, and V-scale, RMSNorm and attention of one row, which are computed with complex
 * numbers. Complex-step derivatives use these functions.
 */
export * as complexNumbers from "./complex.ts";
