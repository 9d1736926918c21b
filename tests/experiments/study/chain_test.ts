/** The chain's verdicts follow from its rule, on records with known figures. */
import {
  BREAK,
  type Chain,
  CHAIN_LINKS,
  CHAIN_MOMENTS,
  type ChainCell,
  type ChainMoment,
  chainOf,
  summarizeChain,
} from "../../../src/experiments/study/chain.ts";
import { expectation } from "../../../src/experiments/study/chain/links.ts";
import type { StudyVariant } from "../../../src/experiments/study/arms.ts";
import { mergeStudy } from "../../../src/experiments/study/merge.ts";
import type { StudyRecord, TrajectoryLayer } from "../../../src/experiments/study/record.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { syntheticRecord } from "./synthetic.ts";

/** The norm of token 0's value by variant, to be multiplied by a seed's small noise. */
const NORMS: Readonly<Partial<Record<StudyVariant, number>>> = {
  none: 1,
  learned: 0.3,
  "learned-sink": 3,
  "head-gate": 1.2,
};

function withLayers(
  record: StudyRecord,
  change: (layer: TrajectoryLayer) => TrajectoryLayer,
): StudyRecord {
  const trajectory = record.trajectory.map((point) => ({
    ...point,
    layers: point.layers.map(change),
  }));
  return { ...record, trajectory };
}

/**
 * The chain of made-up runs that differ from the baseline only in value norms. `missing` names the
 * runs to leave out, such as `learned 3` for seed 3.
 */
function chain(seeds: readonly number[], missing: readonly string[] = []): Chain {
  const found = seeds.flatMap((seed) =>
    (Object.keys(NORMS) as StudyVariant[]).flatMap((variant) => {
      if (missing.includes(`${variant} ${seed}`)) return [];
      const same = { ...syntheticRecord({ seed }), arm: { setting: "shallow", variant, seed } };
      const record = withLayers(same as StudyRecord, (layer) => ({
        ...layer,
        attention: layer.attention && {
          ...layer.attention,
          valueNorm: [NORMS[variant]! * (1 + 0.01 * (seed % 3)), 1],
        },
      }));
      return [{ path: `${variant}-${seed}.json`, record }];
    })
  );
  return chainOf(mergeStudy(found).groups[0]!);
}

function cell(of: Chain, variant: StudyVariant, id: string, moment: ChainMoment = "equal step") {
  return of.cells.find((each) =>
    each.variant === variant && each.link.id === id && each.moment === moment
  ) as ChainCell;
}

Deno.test("chainOf() decides between broken, weaker, stronger and no change by its rule", () => {
  const of = chain([1, 2, 3, 4, 5, 6]);
  assertEquals(of.cells.length, 3 * CHAIN_LINKS.length * CHAIN_MOMENTS.length);
  // Value drain weakens when the value norm rises. 3 times the baseline's norm means broken, 1.2
  // times means weaker, and 0.3 times means stronger.
  const drain = (variant: StudyVariant) => cell(of, variant, "drain");
  assertEquals(drain("learned-sink").verdict, "broken");
  assertEquals(drain("head-gate").verdict, "weaker");
  assertEquals(drain("learned").verdict, "stronger");
  assert(Math.abs(drain("learned-sink").effect.median! - 3) < 1e-9);
  assertEquals(drain("learned-sink").test?.pValue, 2 / 2 ** 6);
  assert(NORMS["head-gate"]! < BREAK && NORMS["learned-sink"]! > BREAK);
  // Nothing else differs from the baseline.
  assertEquals(cell(of, "learned-sink", "sink").verdict, "no change shown");
  assertEquals(cell(of, "learned-sink", "loss").effect.median, 0);
  const [learned, sink, gate] = summarizeChain(of);
  assertEquals([learned!.variant, sink!.variant, gate!.variant], [
    "learned",
    "learned-sink",
    "head-gate",
  ]);
  assertEquals(sink!.broken.map(({ id }) => id), ["drain"]);
  assertEquals(gate!.weaker.map(({ id }) => id), ["drain"]);
  assertEquals(learned!.stronger.map(({ id }) => id), ["drain"]);
});

Deno.test("chainOf() compares verdicts with the sources' expectations", () => {
  const of = chain([1, 2, 3, 4, 5, 6]);
  assertEquals(cell(of, "learned-sink", "drain").expected, "as expected");
  assertEquals(cell(of, "learned-sink", "sink").expected, "not reproduced");
  // V-scale should keep the sink; the sources expect nothing about value drain.
  assertEquals(cell(of, "learned", "sink").expected, "as expected");
  assertEquals(cell(of, "learned", "drain").expected, undefined);
  const link = (id: string) => CHAIN_LINKS.find((each) => each.id === id)!;
  assertEquals(expectation("learned", link("sink")), "holds");
  assertEquals(expectation("head-gate", link("sink")), "gives way");
  assertEquals(expectation("none", link("sink")), undefined);
  assertEquals(expectation("head-gate", link("loss")), undefined);
});

Deno.test("chainOf() gives no verdict on few seeds, and counts only seeds that all arms have", () => {
  const few = chain([1, 2, 3, 4, 5]);
  assert(few.cells.every(({ verdict }) => verdict === "too few seeds" || verdict === "no data"));
  const { seeds, without, cells } = chain([1, 2, 3], ["head-gate 3"]);
  assertEquals([seeds, without], [[1, 2], [3]]);
  assert(cells.every(({ effect }) => effect.count <= 2));
  assertEquals(chain([1], ["none 1"]).cells, []);
});

Deno.test("chainOf() compares at equal loss and at equal sink, and says if there is no such step", () => {
  const of = chain([1, 2]);
  // At each step all arms have the same loss and the same sink. So equal loss or equal sink means
  // equal steps.
  assertEquals(cell(of, "learned-sink", "drain", "equal loss").effect.median, 3);
  const equal = cell(of, "learned-sink", "drain", "equal sink");
  assert(Math.abs(equal.effect.median! - 3) < 1e-9);
  assert(/^sinks first reach 0\.\d at step \d+ and \d+/.test(equal.remark!), equal.remark);
  // INT8 is measured only at the end.
  assertEquals(cell(of, "learned-sink", "int8-all", "equal sink").effect.count, 0);
  const weak = syntheticRecord({ seed: 1 });
  const flat = withLayers(
    { ...weak, arm: { ...weak.arm, variant: "learned-sink" } },
    (layer) => ({
      ...layer,
      attention: layer.attention && { ...layer.attention, score: 0.01, idleScore: 0.01 },
    }),
  );
  const [group] = mergeStudy([{ path: "a", record: weak }, { path: "b", record: flat }]).groups;
  const never = cell(chainOf(group!), "learned-sink", "norm", "equal sink");
  assertEquals([never.verdict, never.remark], [
    "no data",
    "the arms never reach a common sink strength",
  ]);
});
