/**
 * Benchmarks attention-sink statistics of one key position. Compares the fused kernel with sums
 * over a column of the whole weights matrix.
 *
 * Run with `deno bench bench/attention_sink_statistics_bench.ts`; `bench/suite.ts` lists the
 * options.
 */
import { benchOperators } from "./suite.ts";

await benchOperators([{ kernel: "attention-sink-statistics", pass: "forward" }]);
