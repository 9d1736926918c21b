import { type Gpu, rmsNormForward } from "../../../mod.ts";
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { rmsNormBackwardVariants } from "../../../src/ops/rms_norm/backward_variants.ts";
import { rmsNormForwardVariants } from "../../../src/ops/rms_norm/forward_variants.ts";
import type { Variant } from "../../../src/ops/shared/variants.ts";
import type { RowShape } from "../../../src/ops/rows/parts.ts";
import { assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { onEachFitRuntime, testGpu } from "../../support/gpu.ts";
import {
  rmsNormObeysItsIdentities,
  rmsNormScales,
  rmsNormTakesManyRows,
} from "../../support/properties/rows/rms_norm_laws.ts";
import { rmsNormHoldsInRange } from "../../support/properties/rows/range.ts";
import { rowsAreAdjoint } from "../../support/properties/rows/adjoint.ts";
import { rowsKeepToThemselves } from "../../support/properties/rows/apart.ts";
import {
  rmsNormBackwardMatchesTwin,
  rmsNormForwardMatchesTwin,
} from "../../support/properties/rows/twin.ts";
import {
  checkMutant,
  checkVariant,
  type RowMutant,
  type RowVariant,
  unfitRowVariant,
} from "../../support/rows/variants.ts";

const elements = ["rows/element_scalar.wgsl", "rows/element_vector.wgsl"];
const fused = [
  "rms_norm/forward_fused.wgsl.ts",
  "rms_norm/backward_fused.wgsl.ts",
  "rows/column_sums.wgsl",
];

const rowPerInvocation: RowVariant = {
  operator: "rmsNorm",
  name: "row-per-invocation",
  files: [
    ...elements,
    "rms_norm/forward_rows.wgsl.ts",
    "rms_norm/backward_rows_mean.wgsl.ts",
    "rms_norm/backward_rows_gradient.wgsl.ts",
    "rows/column_sums.wgsl",
  ],
};
const subgroup: RowVariant = {
  operator: "rmsNorm",
  name: "subgroup",
  files: [...elements, ...fused, "rows/sum_subgroup.wgsl", "rms_norm/forward_cooperative.wgsl"],
};
const tile: RowVariant = {
  operator: "rmsNorm",
  name: "tile",
  files: [
    ...elements,
    "rms_norm/forward_tile.wgsl.ts",
    "rms_norm/backward_tile.wgsl.ts",
    "rows/column_sums.wgsl",
    // The rows that fill no group.
    "rms_norm/forward_cooperative.wgsl",
    "rms_norm/backward_row.wgsl",
    "rows/sum_subgroup.wgsl",
  ],
};
const severalSubgroups: RowVariant = {
  operator: "rmsNorm",
  name: "subgroup",
  files: [...elements, ...fused, "rows/sum_subgroup.wgsl"],
  hardware: true,
};
const vectorised: RowVariant = {
  operator: "rmsNorm",
  name: "vectorised",
  files: [...elements, ...fused, "rows/sum_workgroup.wgsl"],
};
const portable: RowVariant = {
  operator: "rmsNorm",
  name: "portable",
  files: [
    "rms_norm/forward.wgsl",
    "rms_norm/backward_input.wgsl",
    "rms_norm/backward_gain.wgsl",
    "rows/column_sums.wgsl",
  ],
};

const variants: readonly [string, RowVariant][] = [
  ["row-per-invocation", rowPerInvocation],
  ["subgroup", subgroup],
  ["subgroup, several a workgroup", severalSubgroups],
  ["tile", tile],
  ["vectorised", vectorised],
  ["portable", portable],
];

for (const [name, variant] of variants) {
  await onEachFitRuntime(
    `rmsNormForward() and rmsNormBackward() are right as ${name}`,
    (gpu) =>
      checkVariant(gpu, variant, {
        properties: [
          rmsNormForwardMatchesTwin,
          rmsNormBackwardMatchesTwin,
          rmsNormObeysItsIdentities,
          rmsNormScales,
          rowsAreAdjoint,
          rowsKeepToThemselves,
          rmsNormTakesManyRows,
        ],
        options: { runs: 6 },
      }),
    { unfit: (gpu) => unfitRowVariant(gpu, variant) },
  );
}

const mutants: readonly RowMutant[] = [
  {
    // The reciprocal of the mean square's root, 2.5 % too large.
    variant: rowPerInvocation,
    file: "rms_norm/forward_rows.wgsl.ts",
    find: "= inverseRmsOf(",
    replace: "= 1.025 * inverseRmsOf(",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // The second row of an invocation takes the first one's squares.
    variant: rowPerInvocation,
    file: "rms_norm/forward_rows.wgsl.ts",
    find: "elementSum(squares1)",
    replace: "elementSum(squares0)",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // The last row of an invocation is left out.
    variant: rowPerInvocation,
    file: "rms_norm/forward_rows.wgsl.ts",
    find: "firstRow + 3u",
    replace: "firstRow + 2u",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // The gain is left out of <u, x>.
    variant: rowPerInvocation,
    file: "rms_norm/backward_rows_mean.wgsl.ts",
    find: "weight * outputGradient",
    replace: "outputGradient",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // The tail of an odd number of columns is left out.
    variant: rowPerInvocation,
    file: "rms_norm/backward_rows_gradient.wgsl.ts",
    find: "for (var c = column; c < length; c++)",
    replace: "for (var c = column; c + 1u < length; c++)",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // The second column's term of the gain's gradient uses the first one's input.
    variant: rowPerInvocation,
    file: "rms_norm/backward_rows_gradient.wgsl.ts",
    find: "sum1 += gradient1 * normal1",
    replace: "sum1 += gradient1 * normal0",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // A vector's last component is forgotten.
    variant: rowPerInvocation,
    file: "rows/element_vector.wgsl",
    find: "(element.z + element.w)",
    replace: "(element.z + element.z)",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // Only the first run of rows is summed.
    variant: rowPerInvocation,
    file: "rows/column_sums.wgsl",
    find: "row < parameters.rows; row++",
    replace: "row < 1u; row++",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // The sum over lanes is left out.
    variant: subgroup,
    file: "rows/sum_subgroup.wgsl",
    find: "let sum = subgroupAdd(summand);",
    replace: "let sum = summand;",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // Rows of which float32 does not hold the squares are not computed again.
    variant: subgroup,
    file: "rms_norm/forward_fused.wgsl.ts",
    find: "extreme != 0u",
    replace: "false",
    property: (gpu) => rmsNormHoldsInRange(gpu),
  },
  {
    // One row of a run is left out.
    variant: subgroup,
    file: "rms_norm/backward_fused.wgsl.ts",
    find: "row < end; row++",
    replace: "row + 1u < end; row++",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // The projection on x is added, not subtracted.
    variant: subgroup,
    file: "rms_norm/backward_fused.wgsl.ts",
    find: "- mean * normal",
    replace: "+ mean * normal",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // A long row is read a vector too short.
    variant: subgroup,
    file: "rms_norm/forward_cooperative.wgsl",
    find: "c < length; c += LANES) {\n    let x",
    replace: "c + 1u < length; c += LANES) {\n    let x",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // Numbers of the rows beside it count for a row's squares.
    variant: tile,
    file: "rms_norm/forward_tile.wgsl.ts",
    find: "select(vec4f(), input[vector], column < vec4u(columns))",
    replace: "input[vector]",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // A row's last vector is left out.
    variant: tile,
    file: "rms_norm/forward_tile.wgsl.ts",
    find: "(start + columns + 3u) / 4u",
    replace: "(start + columns) / 4u",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // All groups of a tile share the first banks.
    variant: tile,
    file: "rms_norm/forward_tile.wgsl.ts",
    find: "group / LANES * PHASES + row % PHASES",
    replace: "row % PHASES",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // The second half of a tile takes the first one's inverseRms.
    variant: tile,
    file: "rms_norm/forward_tile.wgsl.ts",
    find: "half == 1u",
    replace: "half == 7u",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // A vector in which a row begins is all of the row before.
    variant: tile,
    file: "rms_norm/forward_tile.wgsl.ts",
    find: "let next0 = column0 >= vec4u(columns);",
    replace: "let next0 = column0 > vec4u(columns);",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // Where a row begins, the gain does not begin again.
    variant: tile,
    file: "rms_norm/forward_tile.wgsl.ts",
    find: "column0 - vec4u(columns), next0",
    replace: "column0, next0",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // The last position of a group is left out.
    variant: tile,
    file: "rms_norm/forward_tile.wgsl.ts",
    find: "let inside = base + lane.x < groupLength",
    replace: "let inside = base + lane.x + 1u < groupLength",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // The second position of a lane has the first one's gain.
    variant: tile,
    file: "rms_norm/forward_tile.wgsl.ts",
    find: "output[vector1] = gain1",
    replace: "output[vector1] = gain0",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // The rows that fill no group are the first ones.
    variant: tile,
    file: "rms_norm/forward_cooperative.wgsl",
    find: "parameters.firstRow + ",
    replace: "",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // The second of two rows takes the first one's place.
    variant: tile,
    file: "rms_norm/backward_tile.wgsl.ts",
    find: "min(group + 1u, groups - 1u)",
    replace: "min(group, groups - 1u)",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // Rows are taken to begin at multiples of 4.
    variant: tile,
    file: "rms_norm/backward_tile.wgsl.ts",
    find: "let offset = phase * columns % 4u",
    replace: "let offset = 0u",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // Numbers of the rows beside it count for a row's mean.
    variant: tile,
    file: "rms_norm/backward_tile.wgsl.ts",
    find: "(input[first0 + vector] * inverse0), inside)",
    replace: "(input[first0 + vector] * inverse0), vec4<bool>(true))",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // The projection on x is added, not subtracted.
    variant: tile,
    file: "rms_norm/backward_tile.wgsl.ts",
    find: "- mean0 * normal0",
    replace: "+ mean0 * normal0",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // Only a tile's last group counts for the gain's gradient.
    variant: tile,
    file: "rms_norm/backward_tile.wgsl.ts",
    find: "sum0 += gradient0 * normal0",
    replace: "sum0 = gradient0 * normal0",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // The terms of the rows that fill no group take the first tile's place.
    variant: tile,
    file: "rms_norm/backward_row.wgsl",
    find: "(parameters.firstPartial + workgroup.x)",
    replace: "workgroup.x",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // The projection on x is forgotten in rows that fill no group.
    variant: tile,
    file: "rms_norm/backward_row.wgsl",
    find: " - mean * (input[i] * inverse)",
    replace: "",
    property: rmsNormBackwardMatchesTwin,
  },
  {
    // Every subgroup adds the first lanes' sums only.
    variant: severalSubgroups,
    file: "rows/sum_subgroup.wgsl",
    find: "i < LANES; i += size",
    replace: "i < size; i += size",
    property: rmsNormForwardMatchesTwin,
  },
  {
    // The last group is left out of the sum of groups.
    variant: vectorised,
    file: "rows/sum_workgroup.wgsl",
    find: "i < GROUP; i++) {\n    total",
    replace: "i + 1u < GROUP; i++) {\n    total",
    property: rmsNormForwardMatchesTwin,
  },
];

for (const [name, variant] of variants) {
  const broken = mutants.filter((mutant) => mutant.variant === variant);
  if (broken.length === 0) continue;
  await onEachFitRuntime(
    `the tests of rmsNorm fail on broken kernels of ${name}`,
    async (gpu) => {
      for (const mutant of broken) await checkMutant(gpu, mutant);
    },
    { runtimes: ["deno"], unfit: (gpu) => unfitRowVariant(gpu, variant) },
  );
}

function chosen<Call>(
  variants: readonly Variant<RowShape, Call>[],
  gpu: Gpu,
  shape: RowShape,
): string | undefined {
  return variants.find((variant) =>
    variant.unfit(gpu, shape) === undefined && variant.suits(gpu, shape)
  )?.name;
}

Deno.test("rmsNormForward() and rmsNormBackward() choose by the adapter", async () => {
  const gpu = await testGpu("deno");
  const like = (info: Partial<Gpu["info"]>) => createDryGpu({ ...gpu.info, ...info });
  const one = { minimum: 8, maximum: 8 };
  const cpu = like({ software: true, features: ["subgroups"], subgroupSize: one });
  const narrow = like({
    software: true,
    features: ["subgroups"],
    subgroupSize: { minimum: 4, maximum: 4 },
  });
  const { subgroupSize: _size, ...rest } = gpu.info;
  const plain = (software: boolean) => createDryGpu({ ...rest, software, features: [] });
  const hardware = like({ software: false, features: ["subgroups"], subgroupSize: one });
  const expected: readonly [Gpu, RowShape, string, string][] = [
    [cpu, { rows: 4096, columns: 1024 }, "tile", "tile"],
    [cpu, { rows: 4096, columns: 1023 }, "tile", "tile"],
    [cpu, { rows: 4096, columns: 256 }, "subgroup", "tile"],
    [cpu, { rows: 4096, columns: 128 }, "subgroup", "subgroup"],
    [narrow, { rows: 4096, columns: 1024 }, "row-per-invocation", "row-per-invocation"],
    [narrow, { rows: 4096, columns: 64 }, "subgroup", "subgroup"],
    [cpu, { rows: 4096, columns: 5 }, "subgroup", "subgroup"],
    [cpu, { rows: 4096, columns: 3 }, "row-per-invocation", "row-per-invocation"],
    [cpu, { rows: 2, columns: 4096 }, "subgroup", "row-per-invocation"],
    [plain(true), { rows: 4096, columns: 64 }, "row-per-invocation", "row-per-invocation"],
    [hardware, { rows: 4096, columns: 1024 }, "subgroup", "subgroup"],
    // More than a workgroup's registers hold.
    [hardware, { rows: 4096, columns: 16384 }, "subgroup", "portable"],
    [plain(false), { rows: 4096, columns: 1024 }, "portable", "portable"],
  ];
  for (const [on, shape, forward, backward] of expected) {
    const message = JSON.stringify({ ...shape, software: on.info.software });
    assertEquals(chosen(rmsNormForwardVariants, on, shape), forward, message);
    assertEquals(chosen(rmsNormBackwardVariants, on, shape), backward, message);
  }
});

Deno.test("rmsNormForward() names its variants where an unknown one is wanted", async () => {
  const gpu = await testGpu("deno");
  using input = gpu.tensor([3, 4], [1, 2]);
  using gain = gpu.tensor([1, 1], [2]);
  assertThrows(
    () => rmsNormForward(gpu, { input, gain, variant: "fast" }),
    RangeError,
    `rmsNormForward: variant is "fast", wanted one of "subgroup", "tile", "row-per-invocation", "vectorised", "portable"`,
  );
});
