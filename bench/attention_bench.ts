/**
 * Benchmarks causal attention: plain, with V-scale on the values, and with learned sinks. Compares
 * the fused kernels with separate ones that keep the T × T matrix in memory.
 *
 * Run with `deno bench bench/attention_bench.ts`; `bench/suite.ts` lists the options.
 */
import { benchOperators } from "./suite.ts";

await benchOperators([
  { kernel: "attention", pass: "forward" },
  { kernel: "attention", pass: "backward" },
  { kernel: "attention-v-scale-full", pass: "forward" },
  { kernel: "attention-v-scale-full", pass: "backward" },
  // In this mode the forward pass is plain attention's, so only the backward pass is measured.
  { kernel: "attention-v-scale-backward-only", pass: "backward" },
  { kernel: "attention-sink-logit", pass: "forward" },
  { kernel: "attention-sink-logit", pass: "backward" },
]);
