/** Operators read and write their tensors, and nothing beyond. */
import {
  type Gpu,
  type Plan,
  planAttentionBackward,
  planAttentionForward,
  planAttentionSinkStatistics,
  planRmsNormBackward,
  planRmsNormForward,
  planVScaleBackward,
  planVScaleForward,
} from "../../../mod.ts";
import {
  type AttentionDescription,
  BACKWARD_ONLY,
  describeAttention,
  drawAttention,
  forwardResults,
  FULL,
  toFloat32,
  toTwin,
} from "../attention/cases.ts";
import * as reference from "../../../src/reference/mod.ts";
import { type GuardedGpu, guardGpu } from "../guards.ts";
import { Arena, type Numbers } from "../on_gpu.ts";
import { type Report, Tally } from "../report.ts";
import { drawRmsNorm, drawVScale } from "../rows/cases.ts";

// deno-lint-ignore no-explicit-any
type Planner = (gpu: Gpu, args: any) => { readonly plan: Plan };
type Operator = "attention" | "rmsNorm" | "vScale";

/** Keeps one guarded `Gpu` for each `Gpu`, so that its kernels compile once. */
const guarded = new WeakMap<Gpu, GuardedGpu>();

// The calls are so small that they also fit a `Gpu` that allows only 7 workgroups per dimension.
function calls(operator: Operator): readonly [Planner, object][] {
  if (operator === "rmsNorm") {
    // gainGradient sums runs of 16 rows: 37 rows are two runs and part of a third. 70 columns are a
    // block of 64 and part of another; 12 and 180 columns are whole vectors.
    return [70, 12, 180].flatMap((columns) => {
      const drawn = drawRmsNorm({ rows: 37, columns, seed: columns, pattern: "normal" });
      const { input, gain, outputGradient } = drawn;
      const twin = { input: toTwin(input), gain: toTwin(gain) };
      const inverseRms = toFloat32(reference.rmsNormForward(twin).inverseRms);
      return [
        [planRmsNormForward, { input, gain }],
        [planRmsNormBackward, { input, gain, inverseRms, outputGradient }],
      ] as [Planner, object][];
    });
  }
  if (operator === "vScale") {
    return [12, 3].flatMap((columns) => {
      const description = { batch: 2, heads: 3, length: 35, columns, seed: columns, constant: 1 };
      const drawn = drawVScale({ ...description, pattern: "normal" });
      const { value, constant } = drawn;
      return [[planVScaleForward, { value, constant }], [planVScaleBackward, drawn]] as [
        Planner,
        object,
      ][];
    });
  }
  const descriptions: readonly AttentionDescription[] = [
    describeAttention({ batch: 2, keyHeads: 1, group: 2, length: 37, headDim: 36, seed: 121 }),
    describeAttention({ keyHeads: 2, length: 69, headDim: 12, seed: 122, vScale: FULL }),
    describeAttention({ keyHeads: 2, length: 2, headDim: 4, seed: 123, vScale: BACKWARD_ONLY }),
  ];
  return descriptions.flatMap((description) => {
    const drawn = drawAttention(description);
    const { query, key } = drawn;
    const { output, logSumExp } = forwardResults(drawn);
    return [
      [planAttentionForward, drawn],
      [planAttentionBackward, { ...drawn, output, logSumExp }],
      [planAttentionSinkStatistics, { query, key, logSumExp, position: 1, window: 5 }],
    ] as [Planner, object][];
  });
}

/**
 * On buffers that are longer than their tensors and full of NaN, the operators give the same bits
 * as on ordinary buffers, and write nothing past a tensor's end.
 */
export async function operatorsStayInBounds(
  gpu: Gpu,
  { operators = ["attention", "rmsNorm", "vScale"] }: { operators?: readonly Operator[] } = {},
): Promise<Report> {
  const within = guarded.get(gpu) ?? guardGpu(gpu);
  guarded.set(gpu, within);
  const tally = new Tally();
  let cases = 0;
  for (const [planner, args] of operators.flatMap(calls)) {
    using elsewhere = new Arena(gpu);
    const expected = await run(gpu, elsewhere, { planner, args });
    using arena = new Arena(within.gpu);
    const actual = await run(within.gpu, arena, { planner, args });
    for (const [name, numbers] of Object.entries(expected)) {
      tally.sameBits(`${planner.name}'s ${name} among NaNs`, {
        actual: actual[name]!.data,
        expected: numbers.data,
      });
    }
    tally.count(await within.check());
    cases++;
  }
  await within.gpu.sync();
  return tally.report("operators stay in bounds", cases);
}

async function run(
  gpu: Gpu,
  arena: Arena,
  { planner, args }: { readonly planner: Planner; readonly args: object },
): Promise<Readonly<Record<string, Numbers>>> {
  const planned = planner(gpu, arena.arguments(args));
  arena.keep(planned.plan);
  gpu.run(planned.plan);
  return await arena.results<object>(planned) as Record<string, Numbers>;
}
