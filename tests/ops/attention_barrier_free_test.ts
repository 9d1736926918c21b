/**
 * Attention's barrier-free kernels pass the properties of the portable ones. Where the kernels are compiled again, for
 * another runtime or broken on purpose, their tile is a small one, since a large one takes seconds to compile.
 */
import { attentionBackwardKeyValueBarrierFree } from "../../kernels/attention_backward_key_value_barrier_free.wgsl.ts";
import { attentionBackwardQueryBarrierFree } from "../../kernels/attention_backward_query_barrier_free.wgsl.ts";
import type { AttentionBarrierFreeOptions } from "../../kernels/attention_barrier_free_tile.ts";
import { attentionForwardBarrierFree } from "../../kernels/attention_forward_barrier_free.wgsl.ts";
import type { Gpu } from "../../mod.ts";
import {
  BACKWARD_TILE,
  BARRIER_FREE_ROWS,
  FORWARD_TILE,
  NARROW_BACKWARD_TILE,
} from "../../src/ops/attention_barrier_free.ts";
import { assert, assertEquals, assertRejects } from "../support/assert.ts";
import { type AttentionDescription, describeAttention } from "../support/attention_cases.ts";
import { siblingGpu, testGpu } from "../support/gpu.ts";
import {
  attentionBackwardIsCausal,
  attentionForwardIsCausal,
  attentionRepeatsItself,
} from "../support/properties/attention_bits.ts";
import {
  attentionBackwardPassesNonFinite,
  attentionForwardPassesNonFinite,
} from "../support/properties/attention_non_finite.ts";
import {
  attentionBackwardMatchesTwin,
  attentionForwardMatchesTwin,
} from "../support/properties/attention_twin.ts";
import { describeReport, type Report } from "../support/report.ts";

const kernels: Readonly<Record<string, (options: AttentionBarrierFreeOptions) => string>> = {
  "attention_forward_barrier_free.wgsl.ts": attentionForwardBarrierFree,
  "attention_backward_query_barrier_free.wgsl.ts": attentionBackwardQueryBarrierFree,
  "attention_backward_key_value_barrier_free.wgsl.ts": attentionBackwardKeyValueBarrierFree,
};
const [forwardKernel, queryKernel, keyValueKernel] = Object.keys(kernels) as [
  string,
  string,
  string,
];
const smallTile = NARROW_BACKWARD_TILE;

// One workgroup and parts of others; batches, heads, groups, head dimensions, V-scale in both modes, sharp logits.
const cases: readonly AttentionDescription[] = [
  { batch: 2, keyHeads: 2, group: 2, length: 69, headDim: 12, seed: 301 },
  { keyHeads: 2, length: 97, headDim: 20, seed: 302, vScale: { mode: "full", size: "usual" } },
  {
    batch: 2,
    length: 33,
    headDim: 12,
    seed: 203,
    vScale: { mode: "backward-only", size: "usual" },
  },
  { length: 130, headDim: 8, seed: 304, scale: -0.4, pattern: "hundreds" },
  { length: 64, headDim: 12, seed: 305, pattern: "sink" },
  { length: 1, headDim: 12, seed: 306 },
].map((description) => describeAttention(description as Partial<AttentionDescription>));
const only = { examples: cases, runs: 0 };
const one = { examples: cases.slice(2, 3), runs: 0 };

/** What happens to a kernel's source before it is compiled. */
type Change = (source: string) => string;

// A Gpu on which attention takes these kernels: as they are, or with the small tile and changed.
function forced(gpu: Gpu, changes?: Readonly<Record<string, Change>>): {
  sibling: Gpu;
  used: Set<string>;
} {
  const sibling = siblingGpu(gpu, {});
  sibling.variants.get = () => "barrier-free";
  const used = new Set<string>();
  sibling.pipelines.rewrite = ({ file, source }) => {
    used.add(file);
    const kernel = kernels[file];
    if (changes === undefined || kernel === undefined) return source;
    return (changes[file] ?? ((same) => same))(kernel(smallTile));
  };
  return { sibling, used };
}

async function passes(
  gpu: Gpu,
  properties: readonly ((gpu: Gpu) => Promise<Report>)[],
  used: Set<string>,
): Promise<void> {
  for (const property of properties) console.log(`    ${describeReport(await property(gpu))}`);
  await gpu.sync();
  for (const file of Object.keys(kernels)) assert(used.has(file), `${file} did not run`);
}

const forwardTwin = (gpu: Gpu) => attentionForwardMatchesTwin(gpu, only);
const backwardTwin = (gpu: Gpu) => attentionBackwardMatchesTwin(gpu, only);

Deno.test('attention "barrier-free" has the properties of the portable kernels [deno]', async () => {
  const { sibling, used } = forced(await testGpu("deno"));
  await passes(sibling, [
    forwardTwin,
    backwardTwin,
    (gpu) => attentionForwardIsCausal(gpu, only),
    (gpu) => attentionBackwardIsCausal(gpu, only),
    (gpu) => attentionRepeatsItself(gpu, only),
    (gpu) => attentionForwardPassesNonFinite(gpu, one),
    (gpu) => attentionBackwardPassesNonFinite(gpu, one),
  ], used);
});

const ffi = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
Deno.test({
  name: `attention "barrier-free" agrees with the twin [dawn${ffi ? "" : ": needs --allow-ffi"}]`,
  ignore: !ffi,
  async fn() {
    const { sibling, used } = forced(await testGpu("dawn"), {});
    await passes(sibling, [forwardTwin, backwardTwin], used);
  },
});

Deno.test("barrier-free tiles have the rows that a workgroup is planned for", () => {
  for (const { lanes, rows } of [FORWARD_TILE, BACKWARD_TILE, NARROW_BACKWARD_TILE]) {
    assertEquals(lanes * rows, BARRIER_FREE_ROWS);
  }
});

type Property = (gpu: Gpu) => Promise<Report>;
const forwardCausal: Property = (gpu) => attentionForwardPassesNonFinite(gpu, one);
const backwardNonFinite: Property = (gpu) => attentionBackwardPassesNonFinite(gpu, one);

const mutants: readonly (readonly [
  file: string,
  caughtBy: Property,
  name: string,
  find: RegExp,
  replace: string,
])[] = [
  [
    forwardKernel,
    forwardTwin,
    "a masked key counts",
    /<= vec4u\(position(\d)\)/g,
    "<= vec4u(position$1 + 1u)",
  ],
  [
    forwardKernel,
    forwardCausal,
    "masked values are multiplied by zero",
    /u <= position(\d)\)/g,
    "u <= position$1 + 64u)",
  ],
  [
    forwardKernel,
    forwardTwin,
    "the output is not rescaled",
    /= correction3 \* output/g,
    "= output",
  ],
  [
    forwardKernel,
    forwardTwin,
    "V-scale's factor is forgotten",
    /= v\.x \/ \(v\.x \+ v\.y\);/g,
    "= 1.0;",
  ],
  [forwardKernel, forwardTwin, "logSumExp is left in base 2", / \* LN_2;/g, ";"],
  [forwardKernel, forwardTwin, "queries share a key head", /workgroup\.y \/ groupSize/g, "0u"],
  [queryKernel, backwardTwin, "D is forgotten", / - statistics2\.y\)/g, ")"],
  [queryKernel, backwardTwin, "the last key of a row is lost", /u <= position/g, "u < position"],
  [queryKernel, backwardTwin, "the diagonal is not masked", /\+ 3u > firstRow/g, "+ 3u > length"],
  [
    keyValueKernel,
    backwardTwin,
    "only the first query head counts",
    /member < groupSize/g,
    "member < 1u",
  ],
  [
    keyValueKernel,
    backwardTwin,
    "queries past the end count",
    / && firstQuery \+ \du < length/g,
    "",
  ],
  [
    keyValueKernel,
    backwardNonFinite,
    "masked queries are multiplied",
    /(\du) >= position/g,
    "$1 + 64u >= position",
  ],
  [keyValueKernel, backwardTwin, "V-scale's eigenvalue term is dropped", /= 2\.0 \*/g, "= 0.0 *"],
  [
    keyValueKernel,
    backwardTwin,
    "the constant's gradient has the wrong sign",
    /vec2f\(-through/g,
    "vec2f(through",
  ],
];
for (const [file, caughtBy, name, find, replace] of mutants) {
  Deno.test(`mutant of ${file}: ${name}`, async () => {
    let found = 0;
    const { sibling } = forced(await testGpu("deno"), {
      [file](source) {
        found += source.match(find)?.length ?? 0;
        return source.replace(find, replace);
      },
    });
    await assertRejects(() => caughtBy(sibling), Error, "Property failed");
    assert(found > 0, `the kernel has no ${find}`);
    await sibling.sync(); // it compiled: what was caught is the wrong answer
  });
}
