/**
 * Attention-sink statistics from one key position, against sums over a column of the whole weights
 * matrix.
 *
 * Run with `deno bench bench/attention_sink_statistics_bench.ts`; `bench/suite.ts` says what can be
 * chosen.
 */
import { benchOperators } from "./suite.ts";

await benchOperators([{ kernel: "attention-sink-statistics", pass: "forward" }]);
