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
  type RowMutant,
  type RowVariant,
  unfitRowVariant,
} from "../../support/rows/variants.ts";

const rowPerInvocation: RowVariant = {
  operator: "vScale",
  name: "row-per-invocation",
  files: ["v_scale/forward_rows.wgsl", "v_scale/backward_rows.wgsl"],
};
const subgroup: RowVariant = {
  operator: "vScale",
  name: "subgroup",
  files: [
    "v_scale/cluster.wgsl",
    "v_scale/forward_subgroup.wgsl",
    "v_scale/backward_subgroup.wgsl",
  ],
};
const portable: RowVariant = {
  operator: "vScale",
  name: "portable",
  files: ["v_scale/forward.wgsl", "v_scale/backward.wgsl"],
};

for (const variant of [rowPerInvocation, subgroup, portable]) {
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
        options: { runs: 6 },
      }),
    { unfit: (gpu) => unfitRowVariant(gpu, variant) },
  );
}

const mutants: readonly RowMutant[] = [
  {
    // A constant of another head.
    variant: rowPerInvocation,
    file: "v_scale/forward_rows.wgsl",
    find: "% parameters.keyValueHeads",
    replace: "% 1u",
    property: vScaleForwardMatchesTwin,
  },
  {
    // The term along v at half its size.
    variant: rowPerInvocation,
    file: "v_scale/backward_rows.wgsl",
    find: "let along = 2.0 *",
    replace: "let along = 1.0 *",
    property: vScaleBackwardMatchesTwin,
  },
  {
    // The first element is not squared.
    variant: rowPerInvocation,
    file: "v_scale/forward_rows.wgsl",
    find: "for (var i = first; i < first + length; i++) {\n    let v",
    replace: "for (var i = first + 1u; i < first + length; i++) {\n    let v",
    property: vScaleForwardMatchesTwin,
  },
  {
    // A cluster's last exchange is left out.
    variant: subgroup,
    file: "v_scale/cluster.wgsl",
    find: "distance < CLUSTER;",
    replace: "2u * distance < CLUSTER;",
    property: vScaleForwardMatchesTwin,
  },
  {
    // Lanes meet the next cluster's.
    variant: subgroup,
    file: "v_scale/cluster.wgsl",
    find: "subgroupShuffleXor(sum, distance)",
    replace: "subgroupShuffleXor(sum, 2u * distance)",
    property: vScaleBackwardMatchesTwin,
  },
  {
    // dC with the wrong sign.
    variant: subgroup,
    file: "v_scale/backward_subgroup.wgsl",
    find: "vec2f(-factor",
    replace: "vec2f(factor",
    property: vScaleBackwardMatchesTwin,
  },
];

for (const variant of [rowPerInvocation, subgroup]) {
  await onEachFitRuntime(
    `the tests of vScale fail on broken kernels of ${variant.name}`,
    async (gpu) => {
      for (const mutant of mutants) {
        if (mutant.variant === variant) await checkMutant(gpu, mutant);
      }
    },
    { runtimes: ["deno"], unfit: (gpu) => unfitRowVariant(gpu, variant) },
  );
}

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
    [like(true, true), 64, "row-per-invocation"],
    [like(true, true), 255, "subgroup"],
    [like(true, true), 256, "subgroup"],
    [like(true, false), 256, "row-per-invocation"],
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
