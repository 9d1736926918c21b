/**
 * Benchmarks RMSNorm. Compares fused kernels with separate ones for each step of the formula.
 *
 * Run with `deno bench bench/rms_norm_bench.ts`; `bench/suite.ts` lists the options.
 */
import { benchOperators } from "./suite.ts";

await benchOperators([
  { kernel: "rms-norm", pass: "forward" },
  { kernel: "rms-norm", pass: "backward" },
]);
