/**
 * RMSNorm, fused against a kernel for each step.
 *
 * Run with `deno bench bench/rms_norm_bench.ts`; `bench/suite.ts` says what can be chosen.
 */
import { benchOperators } from "./suite.ts";

await benchOperators([
  { kernel: "rms-norm", pass: "forward" },
  { kernel: "rms-norm", pass: "backward" },
]);
