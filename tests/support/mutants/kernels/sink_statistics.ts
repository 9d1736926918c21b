/** Mutants of the kernel for attention-sink statistics. */
import type { Property } from "../../check_cases.ts";
import { sinkStatisticsMatchTwin } from "../../properties/sink_statistics.ts";
import { pinned } from "../catching.ts";
import { type Mutant, mutantsOf } from "../mutant.ts";

const sink: Property = (gpu) => sinkStatisticsMatchTwin(gpu, pinned);

export const mutants: readonly Mutant[] = [
  ...mutantsOf("attention/sink_statistics.wgsl", sink, [
    ["the window ends a row late", "t < parameters.windowEnd", "t <= parameters.windowEnd"],
    ["the window ends a row early", "t < parameters.windowEnd", "t + 1u < parameters.windowEnd"],
    ["the key's position is ignored", " + parameters.position) * vectors", ") * vectors"],
    ["rows before the position count", "parameters.position + lane.x", "lane.x"],
    ["the second moment is the first", "weight * weight", "weight"],
    [
      "the mean is over too many rows",
      "f32(parameters.windowEnd - parameters.position)",
      "f32(parameters.windowEnd)",
    ],
    ["the scale is dropped", "parameters.scale * product", "product"],
    [
      "queries take the wrong key head of their group",
      "workgroup.x / groupSize",
      "workgroup.x % parameters.keyValueHeads",
    ],
    ["the batch is ignored", "workgroup.y * parameters.queryHeads + ", ""],
    [
      "all but the first 64 rows are lost",
      "t < length; t += LANES",
      "t < min(length, parameters.position + LANES); t += LANES",
    ],
  ]),
  ...mutantsOf("attention/sink/share.wgsl", sink, [
    ["the share is a sum", "sumOfSummands().x / f32(length)", "sumOfSummands().x"],
    ["all heads have the first sink", "sinkLogit[workgroup.x]", "sinkLogit[0]"],
    ["the batch is ignored", "workgroup.y * parameters.queryHeads + ", "", { times: 1 }],
    ["the logits are taken from the sinks", "sink - logSumExp[", "-sink + logSumExp["],
    [
      "all but the first 64 rows are lost",
      "t < length; t += LANES",
      "t < min(length, LANES); t += LANES",
    ],
  ]),
];
