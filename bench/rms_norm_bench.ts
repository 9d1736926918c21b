/**
 * Benchmarks RMSNorm: fused, and with one kernel per step.
 *
 * Run with `deno bench bench/rms_norm_bench.ts`; `bench/suite.ts` lists the options.
 */
import { benchOperators } from "./suite.ts";

await benchOperators([
  { kernel: "rms-norm", pass: "forward" },
  { kernel: "rms-norm", pass: "backward" },
]);
