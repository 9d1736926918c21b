/**
 * Attention's barrier-free forward kernel passes the properties of the portable one. Where it is compiled again, for another
 * runtime or broken on purpose, its tile is a small one, since a large one takes seconds to compile.
 */
import type { AttentionBarrierFreeOptions } from "../../kernels/attention_barrier_free_tile.ts";
import { attentionForwardBarrierFree } from "../../kernels/attention_forward_barrier_free.wgsl.ts";
import type { Gpu } from "../../mod.ts";
import { BARRIER_FREE_ROWS, FORWARD_TILE } from "../../src/ops/attention_barrier_free.ts";
import { assert, assertEquals, assertRejects } from "../support/assert.ts";
import { type AttentionDescription, describeAttention } from "../support/attention_cases.ts";
import { siblingGpu, testGpu } from "../support/gpu.ts";
import {
  attentionForwardIsCausal,
  attentionRepeatsItself,
} from "../support/properties/attention_bits.ts";
import { attentionForwardPassesNonFinite } from "../support/properties/attention_non_finite.ts";
import { attentionForwardMatchesTwin } from "../support/properties/attention_twin.ts";
import { describeReport, type Report } from "../support/report.ts";

const forwardKernel = "attention_forward_barrier_free.wgsl.ts";
const smallTile: AttentionBarrierFreeOptions = { lanes: 16, rows: 4, columns: 4 };

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

// A Gpu on which attention forward takes this kernel: as it is, or with the small tile and changed.
function forced(gpu: Gpu, change?: Change): { sibling: Gpu; used: Set<string> } {
  const sibling = siblingGpu(gpu, {});
  sibling.variants.get = (key) => key.startsWith("attentionForward") ? "barrier-free" : "portable";
  const used = new Set<string>();
  sibling.pipelines.rewrite = ({ file, source }) => {
    used.add(file);
    if (change === undefined || file !== forwardKernel) return source;
    return change(attentionForwardBarrierFree(smallTile));
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
  assert(used.has(forwardKernel), `${forwardKernel} did not run`);
}

const forwardTwin = (gpu: Gpu) => attentionForwardMatchesTwin(gpu, only);

Deno.test('attention "barrier-free" has the properties of the portable kernels [deno]', async () => {
  const { sibling, used } = forced(await testGpu("deno"));
  await passes(sibling, [
    forwardTwin,
    (gpu) => attentionForwardIsCausal(gpu, only),
    (gpu) => attentionRepeatsItself(gpu, only),
    (gpu) => attentionForwardPassesNonFinite(gpu, one),
  ], used);
});

const ffi = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
Deno.test({
  name: `attention "barrier-free" agrees with the twin [dawn${ffi ? "" : ": needs --allow-ffi"}]`,
  ignore: !ffi,
  async fn() {
    const { sibling, used } = forced(await testGpu("dawn"), (source) => source);
    await passes(sibling, [forwardTwin], used);
  },
});

Deno.test("barrier-free tiles have the rows that a workgroup is planned for", () => {
  for (const { lanes, rows } of [FORWARD_TILE, smallTile]) {
    assertEquals(lanes * rows, BARRIER_FREE_ROWS);
  }
});

type Property = (gpu: Gpu) => Promise<Report>;
const forwardNonFinite: Property = (gpu) => attentionForwardPassesNonFinite(gpu, one);

const mutants: readonly (readonly [
  caughtBy: Property,
  name: string,
  find: RegExp,
  replace: string,
])[] = [
  [
    forwardTwin,
    "a masked key counts",
    /<= vec4u\(position(\d)\)/g,
    "<= vec4u(position$1 + 1u)",
  ],
  [
    forwardNonFinite,
    "masked values are multiplied by zero",
    /u <= position(\d)\)/g,
    "u <= position$1 + 64u)",
  ],
  [
    forwardTwin,
    "the output is not rescaled",
    /= correction3 \* output/g,
    "= output",
  ],
  [
    forwardTwin,
    "V-scale's factor is forgotten",
    /= v\.x \/ \(v\.x \+ v\.y\);/g,
    "= 1.0;",
  ],
  [forwardTwin, "logSumExp is left in base 2", / \* LN_2;/g, ";"],
  [forwardTwin, "queries share a key head", /workgroup\.y \/ groupSize/g, "0u"],
];
for (const [caughtBy, name, find, replace] of mutants) {
  Deno.test(`mutant of ${forwardKernel}: ${name}`, async () => {
    let found = 0;
    const { sibling } = forced(await testGpu("deno"), (source) => {
      found += source.match(find)?.length ?? 0;
      return source.replace(find, replace);
    });
    await assertRejects(() => caughtBy(sibling), Error, "Property failed");
    assert(found > 0, `the kernel has no ${find}`);
    await sibling.sync(); // it compiled: what was caught is the wrong answer
  });
}
