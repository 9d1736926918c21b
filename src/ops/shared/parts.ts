/** WGSL parts that kernels of several operators need before their own text. */
import notANumberSource from "../../../kernels/not_a_number.wgsl" with { type: "text" };
import rangeSource from "../../../kernels/range.wgsl" with { type: "text" };
import workgroupSumSource from "../../../kernels/workgroup_sum.wgsl" with { type: "text" };
import type { KernelPart } from "../../gpu/pipelines.ts";

/**
 * WGSL functions: `isNotFinite` recognizes infinities and NaN, `orNotANumber` can replace a number
 * by NaN, and `powerScale` returns a power of two that scales numbers so that float32 holds their
 * squares.
 */
export const range: KernelPart = { file: "range.wgsl", source: rangeSource };
/** exp and exp2 that return NaN for NaN on every driver; WGSL's own do not on some drivers. */
export const notANumber: KernelPart = { file: "not_a_number.wgsl", source: notANumberSource };
/** A sum over a workgroup of 64 invocations. */
export const workgroupSum: KernelPart = { file: "workgroup_sum.wgsl", source: workgroupSumSource };
