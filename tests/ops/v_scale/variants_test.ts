import type { Gpu } from "../../../mod.ts";
import {
  vScaleBackwardVariants,
  vScaleForwardVariants,
} from "../../../src/ops/v_scale/variants.ts";
import { assertEquals } from "../../support/assert/assert.ts";
import { onEachFitRuntime, testGpu } from "../../support/gpu.ts";
import { rowsAreAdjoint } from "../../support/properties/rows/adjoint.ts";
import { rowsKeepToThemselves } from "../../support/properties/rows/apart.ts";
import { vScaleObeysItsIdentities } from "../../support/properties/rows/v_scale_laws.ts";
import {
  vScaleBackwardMatchesTwin,
  vScaleForwardMatchesTwin,
} from "../../support/properties/rows/twin.ts";
import {
  checkMutant,
  checkVariant,
  type RowVariant,
  unfitRowVariant,
} from "../../support/rows/variants.ts";
import { type Mutant, mutantsOf } from "../../support/mutants/mutant.ts";

const passes = ["v_scale/forward.wgsl", "v_scale/backward.wgsl"];
const subgroup: RowVariant = {
  operator: "vScale",
  name: "subgroup",
  files: ["v_scale/lanes_subgroup.wgsl", ...passes],
};
const portable: RowVariant = {
  operator: "vScale",
  name: "portable",
  files: ["v_scale/lanes_single.wgsl", ...passes],
};

for (const variant of [subgroup, portable]) {
  await onEachFitRuntime(
    `vScaleForward() and vScaleBackward() are right as ${variant.name}`,
    (gpu) =>
      checkVariant(gpu, variant, {
        properties: [
          vScaleForwardMatchesTwin,
          vScaleBackwardMatchesTwin,
          vScaleObeysItsIdentities,
          rowsAreAdjoint,
          rowsKeepToThemselves,
        ],
        options: { mostRuns: 6 },
      }),
    { unfit: (gpu) => unfitRowVariant(gpu, variant) },
  );
}

const mutants: readonly Mutant[] = [
  ...mutantsOf("v_scale/lanes_subgroup.wgsl", vScaleForwardMatchesTwin, [
    [
      "the last exchange is left out",
      "distance < LANES_PER_ROW;",
      "2u * distance < LANES_PER_ROW;",
    ],
  ]),
  ...mutantsOf("v_scale/lanes_subgroup.wgsl", vScaleBackwardMatchesTwin, [
    [
      "lanes meet those of the next row",
      "subgroupShuffleXor(sum, distance)",
      "subgroupShuffleXor(sum, 2u * distance)",
    ],
  ]),
  ...mutantsOf("v_scale/backward.wgsl", vScaleBackwardMatchesTwin, [
    ["dC with the wrong sign", "term = -(factor", "term = (factor"],
  ]),
];

await onEachFitRuntime(
  "the tests of vScale fail on broken kernels of subgroup",
  async (gpu) => {
    for (const mutant of mutants) await checkMutant(gpu, subgroup, mutant);
  },
  { runtimes: ["deno"], unfit: (gpu) => unfitRowVariant(gpu, subgroup) },
);

Deno.test("vScaleForward() and vScaleBackward() choose by the adapter", async () => {
  const gpu = await testGpu("deno");
  const shape = { rows: 64, batches: 1, keyValueHeads: 2, sequenceLength: 32 };
  const subgroupSize = { minimum: 32, maximum: 32 };
  const { subgroupSize: _size, ...rest } = gpu.info;
  const like = (software: boolean, subgroups: boolean) => {
    const info = { ...rest, software, features: subgroups ? ["subgroups"] : [] };
    return {
      device: gpu.device,
      info: subgroups ? { ...info, subgroupSize } : info,
    } as unknown as Gpu;
  };
  const expected: readonly [Gpu, number, string][] = [
    [like(true, true), 64, "portable"],
    [like(true, true), 255, "subgroup"],
    [like(true, true), 256, "subgroup"],
    [like(true, false), 256, "portable"],
    [like(false, true), 64, "subgroup"],
    [like(false, false), 64, "portable"],
  ];
  for (const [on, columns, name] of expected) {
    for (const variants of [vScaleForwardVariants, vScaleBackwardVariants]) {
      const usable = variants.find((variant) =>
        variant.unfit(on, { ...shape, columns }) === undefined &&
        variant.suits(on, { ...shape, columns })
      );
      assertEquals(usable?.name, name);
    }
  }
});
