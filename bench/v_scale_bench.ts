/**
 * V-scale by itself, fused against a kernel for each step.
 *
 * Run with `deno bench bench/v_scale_bench.ts`; `bench/suite.ts` says what can be chosen.
 */
import { benchOperators } from "./suite.ts";

await benchOperators([
  { kernel: "v-scale", pass: "forward" },
  { kernel: "v-scale", pass: "backward" },
]);
