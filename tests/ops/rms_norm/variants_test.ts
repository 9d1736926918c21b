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
  type RowVariant,
  unfitRowVariant,
} from "../../support/rows/variants.ts";
import { type Mutant, mutantsOf } from "../../support/mutants/mutant.ts";

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
  files: [...elements, ...fused, "rms_norm/forward_cooperative.wgsl"],
};
const lanesInOrder: RowVariant = {
  ...subgroup,
  files: [...subgroup.files, "rows/sum_lanes.wgsl.ts"],
  leastLanes: 8,
};
const loneSubgroup: RowVariant = {
  ...subgroup,
  files: [...elements, ...fused, "rows/sum_subgroup.wgsl"],
  hardware: "one subgroup",
};
const tile: RowVariant = {
  operator: "rmsNorm",
  name: "tile",
  files: [
    ...elements,
    "rms_norm/forward_tile.wgsl.ts",
    "rms_norm/backward_tile.wgsl.ts",
    "rows/column_sums.wgsl",
    // These kernels compute the rows that remain after the last full tile.
    "rms_norm/forward_cooperative.wgsl",
    "rms_norm/backward_row.wgsl",
  ],
};
const severalSubgroups: RowVariant = { ...loneSubgroup, hardware: "several subgroups" };
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
  ["subgroup, lanes added in order", lanesInOrder],
  ["subgroup, one a workgroup", loneSubgroup],
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
        options: { mostRuns: 6 },
      }),
    { unfit: (gpu) => unfitRowVariant(gpu, variant) },
  );
}

const rowVariant = { variant: "row-per-invocation" };
const NOT_AGAIN = "rows of which float32 does not hold the squares are not computed again";

const mutants = new Map<RowVariant, readonly Mutant[]>([
  [rowPerInvocation, [
    ...mutantsOf("rms_norm/forward_rows.wgsl.ts", rmsNormForwardMatchesTwin, [
      [
        "the reciprocal of the mean square's root, 2.5 % too large",
        "= inverseRoot(",
        "= 1.025 * inverseRoot(",
      ],
      [
        "the second row of an invocation takes the first one's squares",
        "elementSum(squares1)",
        "elementSum(squares0)",
      ],
      ["the last row of an invocation is left out", "firstRow + 3u", "firstRow + 2u"],
    ]),
    ...mutantsOf("rms_norm/forward_rows.wgsl.ts", (gpu) => rmsNormHoldsInRange(gpu, rowVariant), [
      [NOT_AGAIN, "nextScale(mean1, scale1)", "1.0"],
    ]),
    ...mutantsOf("rms_norm/backward_rows_mean.wgsl.ts", rmsNormBackwardMatchesTwin, [
      ["the gain is left out of <u, x>", "weight * outputGradient", "outputGradient"],
    ]),
    ...mutantsOf("rms_norm/backward_rows_gradient.wgsl.ts", rmsNormBackwardMatchesTwin, [
      [
        "the tail of an odd number of columns is left out",
        "for (var c = column; c < length; c++)",
        "for (var c = column; c + 1u < length; c++)",
      ],
      [
        "the second column's term of the gain's gradient uses the first one's input",
        "sum1 += gradient1 * normal1",
        "sum1 += gradient1 * normal0",
      ],
    ]),
    ...mutantsOf("rows/element_vector.wgsl", rmsNormForwardMatchesTwin, [
      [
        "a vector's last component is forgotten",
        "(element.z + element.w)",
        "(element.z + element.z)",
      ],
    ]),
    ...mutantsOf("rows/column_sums.wgsl", rmsNormBackwardMatchesTwin, [
      ["only the first run of rows is summed", "row < parameters.rows; row++", "row < 1u; row++"],
    ]),
  ]],
  [lanesInOrder, [
    ...mutantsOf("rows/sum_lanes.wgsl.ts", rmsNormForwardMatchesTwin, [
      ["one lane is left out of the sum", "\n    + subgroupBroadcast(summand, 7u)", ""],
    ]),
  ]],
  [loneSubgroup, [
    ...mutantsOf("rows/sum_subgroup.wgsl", rmsNormForwardMatchesTwin, [
      ["the sum over lanes is left out", "return subgroupAdd(summand);", "return summand;"],
    ]),
  ]],
  [subgroup, [
    ...mutantsOf("rms_norm/forward_fused.wgsl.ts", (gpu) => rmsNormHoldsInRange(gpu), [
      [
        NOT_AGAIN,
        "nextScale(mean, scale)",
        "1.0",
      ],
    ]),
    ...mutantsOf("rms_norm/backward_fused.wgsl.ts", rmsNormBackwardMatchesTwin, [
      ["one row of a run is left out", "row < end; row++", "row + 1u < end; row++"],
      ["the projection on x is added, not subtracted", "- mean * normal", "+ mean * normal"],
    ]),
    ...mutantsOf("rms_norm/forward_cooperative.wgsl", rmsNormForwardMatchesTwin, [
      [
        "a long row is read a vector too short",
        "c < length; c += LANES) {\n    let x",
        "c + 1u < length; c += LANES) {\n    let x",
      ],
    ]),
  ]],
  [tile, [
    ...mutantsOf("rms_norm/forward_tile.wgsl.ts", rmsNormForwardMatchesTwin, [
      [
        "numbers of the rows beside it count for a row's squares",
        "select(vec4f(), input[vector], column < vec4u(columns))",
        "input[vector]",
      ],
      ["a row's last vector is left out", "(start + columns + 3u) / 4u", "(start + columns) / 4u"],
      [
        "all groups of a tile share the first banks",
        "group / LANES * PHASES + row % PHASES",
        "row % PHASES",
      ],
      ["the second half of a tile takes the first one's inverseRms", "half == 1u", "half == 7u"],
      [
        "a vector in which a row begins is all of the row before",
        "let next0 = column0 >= vec4u(columns);",
        "let next0 = column0 > vec4u(columns);",
      ],
      [
        "where a row begins, the gain does not begin again",
        "column0 - vec4u(columns), next0",
        "column0, next0",
      ],
      [
        "the last position of a group is left out",
        "let inside = base + lane.x < groupLength",
        "let inside = base + lane.x + 1u < groupLength",
      ],
      [
        "the second position of a lane has the first one's gain",
        "output[vector1] = gain1",
        "output[vector1] = gain0",
      ],
    ]),
    ...mutantsOf("rms_norm/forward_cooperative.wgsl", rmsNormForwardMatchesTwin, [
      ["the rows that fill no group are the first ones", "parameters.firstRow + ", ""],
    ]),
    ...mutantsOf("rms_norm/backward_tile.wgsl.ts", rmsNormBackwardMatchesTwin, [
      [
        "the second of two rows takes the first one's place",
        "min(group + 1u, groups - 1u)",
        "min(group, groups - 1u)",
      ],
      [
        "rows are taken to begin at multiples of 4",
        "let offset = phase * columns % 4u",
        "let offset = 0u",
      ],
      [
        "numbers of the rows beside it count for a row's mean",
        "(input[first0 + vector] * inverse0), inside)",
        "(input[first0 + vector] * inverse0), vec4<bool>(true))",
      ],
      ["the projection on x is added, not subtracted", "- mean0 * normal0", "+ mean0 * normal0"],
      [
        "only a tile's last group counts for the gain's gradient",
        "sum0 += gradient0 * normal0",
        "sum0 = gradient0 * normal0",
      ],
    ]),
    ...mutantsOf("rms_norm/backward_row.wgsl", rmsNormBackwardMatchesTwin, [
      [
        "the terms of the rows that fill no group take the first tile's place",
        "(parameters.firstPartial + workgroup.x)",
        "workgroup.x",
      ],
      [
        "the projection on x is forgotten in rows that fill no group",
        " - mean * (input[i] * inverse)",
        "",
      ],
    ]),
  ]],
  [severalSubgroups, [
    ...mutantsOf("rows/sum_subgroup.wgsl", rmsNormForwardMatchesTwin, [
      [
        "every subgroup adds the first lanes' sums only",
        "i < LANES; i += size",
        "i < size; i += size",
      ],
    ]),
  ]],
  [vectorised, [
    ...mutantsOf("rows/sum_workgroup.wgsl", rmsNormForwardMatchesTwin, [
      [
        "the last group is left out of the sum of groups",
        "i < GROUP; i++) {\n    total",
        "i + 1u < GROUP; i++) {\n    total",
      ],
    ]),
  ]],
]);

for (const [name, variant] of variants) {
  const broken = mutants.get(variant);
  if (broken === undefined) continue;
  await onEachFitRuntime(
    `the tests of rmsNorm fail on broken kernels of ${name}`,
    async (gpu) => {
      for (const mutant of broken) await checkMutant(gpu, variant, mutant);
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
    // In the backward, a workgroup's registers cannot hold a row of this length.
    [hardware, { rows: 4096, columns: 16384 }, "subgroup", "portable"],
    [plain(false), { rows: 4096, columns: 1024 }, "portable", "portable"],
  ];
  for (const [on, shape, forward, backward] of expected) {
    const message = JSON.stringify({ ...shape, software: on.info.software });
    assertEquals(chosen(rmsNormForwardVariants, on, shape), forward, message);
    assertEquals(chosen(rmsNormBackwardVariants, on, shape), backward, message);
  }
});

Deno.test("rmsNormForward() lists its variants if an unknown one is requested", async () => {
  const gpu = await testGpu("deno");
  using input = gpu.tensor([3, 4], [1, 2]);
  using gain = gpu.tensor([1, 1], [2]);
  assertThrows(
    () => rmsNormForward(gpu, { input, gain, variant: "fast" }),
    RangeError,
    `rmsNormForward: variant is "fast", wanted one of "subgroup", "tile", "row-per-invocation", "vectorised", "portable"`,
  );
});
