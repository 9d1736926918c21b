/**
 * Attention backward's variant `panels` passes the properties of the portable kernels, whether it
 * computes a call in one chunk or in several.
 */
import { openGpu } from "../../../mod.ts";
import { attentionBackwardVariants } from "../../../src/ops/attention/backward_variants.ts";
import { panelChunks } from "../../../src/ops/attention/panels.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { BACKWARD_ONLY, describeEach, FULL } from "../../support/attention/cases.ts";
import { checkVariant, type KernelProperty, testMutants } from "../../support/forced_kernels.ts";
import { onEachRuntime, siblingGpu, testGpu } from "../../support/gpu.ts";
import {
  attentionBackwardIsCausal,
  attentionRepeatsItself,
} from "../../support/properties/attention/bits.ts";
import { attentionObeysItsIdentities } from "../../support/properties/attention/laws.ts";
import { lawsOfAttention } from "../../support/properties/attention/of_variants.ts";
import { attentionBackwardPassesNonFinite } from "../../support/properties/attention/non_finite.ts";
import { attentionBackwardMatchesTwin } from "../../support/properties/attention/twin.ts";

const call = { batches: 1, queryHeads: 1, keyValueHeads: 1, sequenceLength: 1, headDim: 4 };
const unfit = await openGpu().then((gpu) => {
  gpu.dispose();
  return attentionBackwardVariants.find(({ name }) => name === "panels")?.unfit(gpu, call);
});

// In these calls, one chunk holds the whole sequences of all heads. Tiles reach past the last
// query, key and column.
const whole = describeEach([
  { batch: 2, keyHeads: 2, group: 2, length: 69, headDim: 12, seed: 201 },
  { keyHeads: 2, length: 97, headDim: 36, seed: 202, vScale: FULL },
  { batch: 2, length: 33, headDim: 12, seed: 3, vScale: BACKWARD_ONLY },
  { length: 97, headDim: 4, seed: 204, pattern: "hundreds", scale: -0.4 },
  { length: 64, headDim: 32, seed: 205, pattern: "sink" },
  { length: 1, headDim: 12, seed: 206 },
]);
// In these calls, groups of query heads are so large that no chunk holds the keys of all heads. A
// chunk holds a part of one head's sequence in the first call, and two heads' sequences in the
// second.
const inChunks = describeEach([
  { keyHeads: 2, group: 16, length: 101, headDim: 8, seed: 207, vScale: FULL },
  { batch: 2, keyHeads: 2, group: 8, length: 40, headDim: 8, seed: 208 },
]);
const all = [...whole, ...inChunks];

const twin: KernelProperty = (gpu) => attentionBackwardMatchesTwin(gpu, { examples: all, runs: 0 });
const nonFinite: KernelProperty = (gpu) =>
  attentionBackwardPassesNonFinite(gpu, { examples: whole.slice(2, 3), runs: 0 });

const subgroup = "subgroup.wgsl.ts";
const barrierFree = "barrier_free.wgsl.ts";
const kernelsOf = (kind: string) =>
  ["fill", "key_value", "query"].map((name) => `attention/panels/${name}_${kind}`);
const valveKernel = "attention/panels/valve.wgsl";
const [panelsKernel, keyValueKernel, queryKernel] = kernelsOf(subgroup) as [string, string, string];
const [plainPanels, plainKeyValue, plainQuery] = kernelsOf(barrierFree) as [string, string, string];

for (
  const [variant, kind, runtime] of [
    ["panels", subgroup, "deno"],
    ["panels", subgroup, "dawn"],
    ["panels-barrier-free", barrierFree, "deno"],
  ] as const
) {
  onEachRuntime(
    `attentionBackward() as "${variant}" has the properties of the portable kernels`,
    (gpu) =>
      checkVariant(gpu, {
        variant,
        kernels: [...kernelsOf(kind), valveKernel],
        properties: runtime === "dawn" ? [twin] : [
          twin,
          (gpu) => attentionBackwardIsCausal(gpu, { examples: all, runs: 0 }),
          (gpu) => attentionRepeatsItself(gpu, { examples: all, runs: 0 }),
          ...lawsOfAttention(12),
        ],
      }),
    { runtimes: [runtime], unless: variant === "panels" ? unfit : undefined },
  );
}

Deno.test("panelChunks() covers every tile of keys of every head once, in chunks of equal, bounded size", () => {
  const shapes = [1, 31, 1024, 1025, 16_384, 100_000].flatMap((sequenceLength) =>
    [[1, 1, 1], [2, 8, 8], [3, 40, 5], [1, 64, 1]].map(([batches, queryHeads, keyValueHeads]) => ({
      ...call,
      sequenceLength,
      batches: batches!,
      queryHeads: queryHeads!,
      keyValueHeads: keyValueHeads!,
    }))
  );
  for (const shape of shapes) {
    for (const tile of [{ rows: 32, keys: 32 }, { rows: 16, keys: 64 }]) {
      const tiles = Math.ceil(shape.sequenceLength / tile.keys);
      const group = shape.queryHeads / shape.keyValueHeads;
      const next = new Array<number>(shape.batches * shape.keyValueHeads).fill(0);
      for (const chunk of panelChunks(shape, tile)) {
        assert(chunk.tiles > 0 && chunk.heads > 0);
        for (let head = chunk.firstHead; head < chunk.firstHead + chunk.heads; head++) {
          assertEquals(next[head], chunk.firstTile);
          next[head] = chunk.firstTile + chunk.tiles;
        }
        assert(
          chunk.heads * chunk.tiles * tile.keys * group <= 1024 ||
            (chunk.heads === 1 && chunk.tiles === 1),
          JSON.stringify({ shape, chunk }),
        );
      }
      assertEquals(next, next.map(() => tiles));
    }
  }
});

const identities: KernelProperty = (gpu) =>
  attentionObeysItsIdentities(gpu, { examples: whole.slice(2, 3), runs: 0 });
testMutants("panels", {}, [
  [panelsKernel, identities, {
    "the first query's gradient is what two sums differ by": [
      /let firstScale = .*;/g,
      "let firstScale = parameters.scale;",
    ],
  }],
  [panelsKernel, twin, {
    "queries past the end count": [/place\.firstRow \+ \d+u < length/g, "true"],
    "V-scale's factor is forgotten": [/factors\.y = /g, "let none = "],
    "the scale is forgotten": [/parameters\.scale \* \(/g, "("],
  }],
  [keyValueKernel, twin, {
    "only the first query head counts": [/member < parameters.groupSize/g, "member < 1u"],
    "the chunk's heads are the first": [/parameters\.firstHead \+ workgroup/g, "workgroup"],
  }],
  [keyValueKernel, nonFinite, {
    "masked queries are multiplied": [/select\(vec4f\(0\.0\), (.*?), k \+/g, "select($1, $1, k +"],
  }],
  [queryKernel, twin, {
    "later chunks forget the earlier ones": [/firstKey > 0u/g, "false"],
  }],
  [queryKernel, nonFinite, {
    "masked keys are multiplied": [/<= whole \+ \d+u/g, "<= whole + 31u"],
  }],
  [valveKernel, twin, {
    "V-scale's eigenvalue term is dropped": [/= 2\.0 \*/g, "= 0.0 *"],
    "the constant's gradient has the wrong sign": [/vec2f\(-factor/g, "vec2f(factor"],
  }],
], unfit);
testMutants("panels-barrier-free", {}, [
  [plainPanels, twin, {
    // This mutant exchanges the select's values. Removing the select would fail no check on
    // SwiftShader, where the first query's gradient is exact even without the select.
    "all queries but the first have no gradient": [
      /select\(parameters\.scale, 0\.0/g,
      "select(0.0, parameters.scale",
    ],
    "the scale is forgotten": [/= scale\s+\* \(weights/g, "= (weights"],
  }],
  [plainKeyValue, nonFinite, {
    "masked queries are multiplied": [/>= firstKey \+ \d+u/g, ">= firstKey"],
  }],
  [plainQuery, twin, {
    "later chunks forget the earlier ones": [/firstKey > 0u/g, "false"],
  }],
]);

Deno.test("attentionBackward() chooses another variant if a buffer cannot hold the panels", async () => {
  const gpu = await testGpu("deno");
  const shape = { batches: 1, queryHeads: 2, keyValueHeads: 1, sequenceLength: 64, headDim: 32 };
  const bytes = 4 * 2 * 64 * 64;
  const reasons = (limit: number) => {
    const limits = { maxStorageBufferBindingSize: limit, maxBufferSize: limit };
    const small = siblingGpu(gpu, { limits });
    return attentionBackwardVariants.filter(({ name }) => name.startsWith("panels"))
      .map(({ unfit }) => unfit(small, shape) ?? "");
  };
  for (const reason of reasons(bytes - 4)) {
    assert(reason.includes("bytes") || reason.includes("subgroups"), reason);
  }
  assertEquals(reasons(bytes).filter((reason) => reason.includes("bytes")), []);
});
