/**
 * Measures like `deno task bench` in your own program. It exports the GPU's clock, the ceilings,
 * workloads with inputs and float64 checks, sampling in random order, statistics, and custom
 * operators.
 *
 * All times are nanoseconds, all rates per second.
 *
 * @example Time two variants of RMSNorm
 * ```ts
 * import { openGpu } from "@gradsink/gradsink";
 * import {
 *   createWorkload,
 *   GpuTimer,
 *   measureCeilings,
 *   referenceKernel,
 *   rooflinePosition,
 *   sampleWork,
 *   summarize,
 * } from "@gradsink/gradsink/measure";
 *
 * using gpu = await openGpu();
 * using timer = await GpuTimer.open(gpu, { clocks: { wall: () => 1e6 * performance.now() } });
 * const shape = { name: "small", dimensions: { rows: 256, d: 512 } };
 * const variants = ["portable", "tile"];
 * const workloads = variants.map((variant) =>
 *   createWorkload(gpu, { kernel: "rms-norm", pass: "forward", shape, variant })
 * );
 * for (const workload of workloads) {
 *   const { error, tolerance, output } = await workload.check(); // compiles, too
 *   if (!(error <= tolerance)) throw new Error(`${output} is off by ${error}`);
 * }
 * const reference = referenceKernel(gpu); // tells when the machine itself is slower
 * gpu.run(reference.plan);
 * const sampled = await sampleWork(
 *   workloads.map(({ plan }) => ({ run: (pass) => plan.encode(pass), cache: "hot" })),
 *   {
 *     timer,
 *     rule: { targetHalfWidth: 0.02, minimumSamples: 10, maximumSamples: 50, budget: 0.2e9 },
 *     reference: (pass) => reference.plan.encode(pass),
 *     seed: 1,
 *   },
 * );
 * const [portable, tile] = sampled.map((each) => each?.samples ?? []);
 * for (const samples of [portable!, tile!]) {
 *   const { median, interval } = summarize(samples);
 *   console.log(median, interval?.low, interval?.high);
 * }
 *
 * // `groups: []` skips the ceilings of kernels. The roofline needs them, so leave `groups` out.
 * const { ceilings } = await measureCeilings(gpu, { timer, groups: [] });
 * const { flops, bytes } = workloads[0]!.cost;
 * console.log(rooflinePosition({ flops, bytes, dtype: "f32" }, ceilings));
 * for (const each of [...workloads, reference]) each.dispose();
 * ```
 *
 * @module
 */
export {
  addCustomOperator,
  type CustomOperator,
  type CustomPass,
  type CustomPlanner,
  type HostTensor,
  type OperatorOutline,
  type TensorSource,
} from "./custom_operator.ts";
export { createWorkload, type Workload, type WorkloadOptions } from "./workloads.ts";
export type { CheckResult } from "./workloads/samples.ts";
export type { Dimensions, GridName, GridShape, PassName, Shape } from "./workloads/operator.ts";
export { type OperatorName, operatorNames, passesOf } from "./workloads/operators.ts";
export { type Implementation, type Planner, replacing } from "./workloads/prepare.ts";
export { shapeOfLengths, shapesOf, type ShapesOptions } from "./workloads/shapes.ts";
export {
  chosenVariant,
  namedVariantsOf,
  type NumberFormat,
  type VariantQuestion,
  variantsOf,
} from "./workloads/variants.ts";
export {
  GpuTimer,
  type GpuTimerOptions,
  type HostClocks,
  type Span,
  type SpanTimes,
  type TimeOptions,
  type UntimedWork,
} from "./timing.ts";
export {
  type SampledWork,
  type SampleOptions,
  sampleWork,
  type VisitOptions,
  type WorkSamples,
} from "./sampling.ts";
export type { StoppingRule } from "./sampling/stopping.ts";
export {
  type Candidate,
  type CandidateGroup,
  ceilingCandidates,
  type CeilingName,
  type CeilingSize,
  referenceKernel,
  scrubPlan,
} from "./ceilings/candidates.ts";
export { measureCeilings, type MeasureCeilingsOptions, type MeasuredCeilings } from "./ceilings.ts";
export {
  type Roofline,
  rooflineOf,
  type RooflinePosition,
  rooflinePosition,
} from "./ceilings/roofline.ts";
export type {
  CacheState,
  Ceiling,
  CeilingForm,
  Ceilings,
  Correctness,
  MeasuredProcess,
  Measurement,
  MeasurementStatus,
  StopReason,
  Timer,
} from "./result_file.ts";
export {
  type Interval,
  type IntervalOptions,
  median,
  medianInterval,
  summarize,
  type Summary,
} from "../statistics/summary.ts";
