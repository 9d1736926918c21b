/** WGSL parts that kernels of several operators need before their own text. */
import notANumberSource from "../../../kernels/not_a_number.wgsl" with { type: "text" };
import rangeSource from "../../../kernels/range.wgsl" with { type: "text" };
import workgroupSumSource from "../../../kernels/workgroup_sum.wgsl" with { type: "text" };
import type { KernelPart } from "../../gpu/pipelines.ts";

/**
 * Functions that recognize infinities and NaN, and one that gives a power of two to scale numbers
 * away from the ends of float32's range.
 */
export const range: KernelPart = { file: "range.wgsl", source: rangeSource };
/** exp and exp2 that return NaN for NaN. */
export const notANumber: KernelPart = { file: "not_a_number.wgsl", source: notANumberSource };
/** A sum over a workgroup of 64 invocations. */
export const workgroupSum: KernelPart = { file: "workgroup_sum.wgsl", source: workgroupSumSource };
