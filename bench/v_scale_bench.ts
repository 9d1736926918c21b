/**
 * Benchmarks V-scale without attention. Compares fused kernels with separate ones for each step of
 * the formula.
 *
 * Run with `deno bench bench/v_scale_bench.ts`; `bench/suite.ts` lists the options.
 */
import { benchOperators } from "./suite.ts";

await benchOperators([
  { kernel: "v-scale", pass: "forward" },
  { kernel: "v-scale", pass: "backward" },
]);
