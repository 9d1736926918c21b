/** The statistics of attention sinks as a measured operator. */
import type { Gpu } from "../../gpu/gpu.ts";
import { attentionForward } from "../../ops/attention.ts";
import { planAttentionSinkStatistics } from "../../ops/attention_sink_statistics.ts";
import { attentionSinkStatistics as referenceStatistics } from "../../reference/attention_sink_statistics.ts";
import { tensor } from "../../reference/tensor.ts";
import { type AttentionLengths, createInputs, shapes, smaller } from "./attention/inputs.ts";
import type { AttentionNumbers } from "./attention/rows.ts";
import { measured } from "./operator.ts";
import type { Prepared, PrepareOptions } from "./prepare.ts";
import { type Sample, samplePlaces } from "./samples.ts";

/** The statistics of attention sinks. */
export const attentionSinkStatistics = measured({
  passes: {
    forward: {
      operator: "attentionSinkStatistics",
      plan: planAttentionSinkStatistics,
      prepare,
      // Counts bytes. Each row reads its query and its logSumExp, each key head's key at the sink
      // is read once, and each query head gets three results.
      roughWork: ({ B, Hq, Hkv, T, D }: AttentionLengths) =>
        4 * B * (Hq * T * (D + 1) + Hkv * D + 3 * Hq),
      inputsFrom: "attention",
    },
  },
  shapes,
  smaller,
});

// Prepares the statistics of position 0. A forward pass computes the logSumExp that they need.
function prepare(
  gpu: Gpu,
  options: PrepareOptions<AttentionLengths, typeof planAttentionSinkStatistics>,
): Prepared {
  const { seed, plan: planCall, keep } = options;
  const { numbers, tensors } = createInputs(gpu, options);
  const { query, key } = tensors;
  const forward = attentionForward(gpu, { ...tensors, variant: "portable" });
  forward.output.dispose();
  const logSumExp = keep(forward.logSumExp);
  const { plan, ...statistics } = planCall(gpu, {
    query,
    key,
    logSumExp,
  });
  return {
    plan,
    outputs: { ...statistics },
    tolerance: 1e-5,
    async samples(read): Promise<Sample[]> {
      const { B, Hq, T } = numbers.dimensions;
      const rows = await logSumExp.read();
      const heads = samplePlaces({ heads: B * Hq, length: T }, { seed }).map(({ head }) => head);
      return [...new Set(heads)].slice(0, 4).flatMap((head) => {
        const wanted = headStatistics(numbers, { head, logSumExp: rows });
        return (["mass", "secondMoment", "score"] as const).map((output) => ({
          output,
          actual: read[output]!.subarray(head, head + 1),
          wanted: wanted[output].data,
        }));
      });
    },
  };
}

function headStatistics(
  { dimensions, query, key }: AttentionNumbers,
  { head, logSumExp }: { readonly head: number; readonly logSumExp: Float32Array },
): ReturnType<typeof referenceStatistics> {
  const { Hq, Hkv, T, D } = dimensions;
  const keyHead = Math.floor(head / Hq) * Hkv + Math.floor((head % Hq) / (Hq / Hkv));
  const ofHead = (numbers: Float32Array, h: number) =>
    tensor(numbers.subarray(h * T * D, (h + 1) * T * D), [1, 1, T, D]);
  return referenceStatistics({
    query: ofHead(query, head),
    key: ofHead(key, keyHead),
    logSumExp: tensor(logSumExp.subarray(head * T, (head + 1) * T), [1, 1, T]),
  });
}
