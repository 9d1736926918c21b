/** Breaks each kernel of the matrix product on purpose: its checks must fail. */
import type { Gpu } from "../../../mod.ts";
import { assert } from "../../support/assert/assert.ts";
import { onEachRuntime, siblingGpu } from "../../support/gpu.ts";
import { describeMatmul, matmulContainsNonFinite, matmulMatchesTwin } from "./properties.ts";
import { plannerFor, subgroupCases } from "./subgroup_cases.ts";

interface Mutant {
  /** The fault. */
  readonly name: string;
  readonly variant: string;
  /** The file that contains the fault. */
  readonly file: string;
  /** The text to replace, at its first occurrence only. */
  readonly from: string | RegExp;
  readonly to: string;
  /** The check that must fail. Default: the comparison with the twin. */
  readonly check?: typeof matmulMatchesTwin;
  /**
   * Pretends to be a hardware GPU. A GPU of a `known` maker unrolls all k of a step, one of an
   * `unknown` maker only four.
   */
  readonly hardware?: keyof typeof makers;
  /**
   * The name of the subgroup kernel's case that shows the fault. Default: the tiles chosen for the
   * examples.
   */
  readonly tile?: string;
}

const mutants: readonly Mutant[] = [
  {
    name: "the left operand's stride used for the right one",
    variant: "portable",
    file: "matmul/portable.wgsl",
    from: "rightK * parameters.rightInner",
    to: "rightK * parameters.leftInner",
  },
  {
    name: "no barrier between the steps",
    variant: "portable",
    file: "matmul/portable.wgsl",
    from: /workgroupBarrier\(\);\n {2}\}/,
    to: "}",
  },
  {
    name: "one row too few written",
    variant: "portable",
    file: "matmul/portable.wgsl",
    from: "row + i < parameters.rows &&",
    to: "row + i + 1u < parameters.rows &&",
  },
  {
    name: "k past the end multiplied",
    variant: "portable",
    file: "matmul/portable.wgsl",
    from: "let steps = min(STEP, parameters.inner - first);",
    to: "let steps = STEP;",
  },
  {
    name: "a block 0.1 % too large",
    variant: "portable",
    file: "matmul/portable.wgsl",
    from: "column + j] = block[j][i]",
    to: "column + j] = 1.001 * block[j][i]",
  },
  {
    name: "batches that all read the first left matrix",
    variant: "portable",
    file: "matmul/portable.wgsl",
    from: "tile.batch * parameters.leftBatch",
    to: "0u * parameters.leftBatch",
  },
  {
    name: "tiles of rows and columns swapped",
    variant: "barrier-free",
    file: "matmul/operands.wgsl",
    from: "index % tilesAcross",
    to: "index % tilesDown",
  },
  {
    name: "one product left out",
    variant: "barrier-free",
    file: "matmul/barrier_free.wgsl.ts",
    from: /(p3_1 = p3_1) \+ x0 \* r1_0/,
    to: "$1",
  },
  {
    name: "one column too few written",
    variant: "barrier-free",
    file: "matmul/barrier_free.wgsl.ts",
    from: /column \+ (\d+)u < parameters.columns/g,
    to: "column + $1u + 1u < parameters.columns",
  },
  {
    name: "a broadcast from a neighbor",
    variant: "subgroup",
    file: "matmul/subgroup.wgsl.ts",
    from: /(let x2 = subgroupBroadcast\(l\d+\.\w, )3u/,
    to: "$12u",
  },
  {
    name: "the third k of a step taken twice",
    variant: "subgroup",
    file: "matmul/subgroup.wgsl.ts",
    from: /\+ x3 \* r0_3/,
    to: "+ x2 * r0_2",
  },
  {
    name: "columns past the end written to the second last",
    variant: "subgroup",
    tile: "copies of both operands",
    file: "matmul/subgroup.wgsl.ts",
    from: /(let stored\d+ = min\(column\d+, parameters.columns - )1u/g,
    to: "$12u",
  },
  {
    name: "rows past the end written to the second last",
    variant: "subgroup",
    file: "matmul/subgroup.wgsl.ts",
    from: /(let row\d+ = productStart \+ min\(.*, parameters.rows - )1u/g,
    to: "$12u",
  },
  {
    name: "vectors stored a row too high",
    variant: "subgroup",
    tile: "whole vectors stored",
    file: "matmul/subgroup.wgsl.ts",
    from: /(product\[\()row1( \+ column\d+\) \/ 4u\])/,
    to: "$1row0$2",
  },
  {
    name: "the rest of K started one k too early",
    variant: "subgroup",
    file: "matmul/subgroup.wgsl.ts",
    from: "let k = whole;",
    to: "let k = whole - 1u;",
  },
  {
    name: "a strip of columns that starts at the first one",
    variant: "subgroup",
    tile: "a strip of columns",
    file: "matmul/operands.wgsl",
    from: "parameters.firstColumn + (index",
    to: "0u * parameters.firstColumn + (index",
  },
  {
    name: "an extra column multiplied by its neighbor in k",
    variant: "subgroup",
    tile: "an extra column, and a row that is dealt",
    file: "matmul/subgroup.wgsl.ts",
    from: /(let y0_2 = subgroupBroadcast\(e0, )2u/,
    to: "$11u",
  },
  {
    name: "an extra column that takes another row of its lane",
    variant: "subgroup",
    tile: "extra columns in whole vectors",
    file: "matmul/subgroup.wgsl.ts",
    from: /(let rowOfLane0 = min\(tile\.row \+ (min\()?)0u/,
    to: "$11u",
  },
  {
    name: "all extra columns written to the first one",
    variant: "subgroup",
    tile: "extra columns of exchanged operands, four numbers at a time along K",
    file: "matmul/subgroup.wgsl.ts",
    from: /\+ extraStored1\] = q0_1/,
    to: "+ extraStored0] = q0_1",
  },
  {
    name: "the extra column of a copy read one vector too early",
    variant: "subgroup",
    tile: "an extra column of a copy on the last tile",
    file: "matmul/subgroup.wgsl.ts",
    from: "parameters.columns - 1u) / 4u;",
    to: "parameters.columns - 1u) / 4u - 1u;",
  },
  {
    name: "a dealt row that takes the third k twice",
    variant: "subgroup",
    tile: "one row, whose numbers are dealt",
    file: "matmul/subgroup.wgsl.ts",
    from: "min(dealt0 % 4u, 3u)",
    to: "min(dealt0 % 4u, 2u)",
  },
  {
    name: "the corner of a dealt row and an extra column not written",
    variant: "subgroup",
    tile: "an extra column, and a row that is dealt",
    file: "matmul/subgroup.wgsl.ts",
    from: /product\[row16 \+ extraStored0\] = o16_0;/,
    to: "",
  },
  {
    name: "batches written over the first one",
    variant: "subgroup",
    file: "matmul/subgroup.wgsl.ts",
    from: "tile.batch * parameters.productBatch",
    to: "0u * parameters.productBatch",
  },
  {
    name: "workgroups without a tile write one",
    variant: "subgroup",
    file: "matmul/operands.wgsl",
    from: "rowOfTiles / tilesDown);",
    to: "rowOfTiles / tilesDown / 2u);",
  },
  {
    name: "packing that repeats the second last",
    variant: "subgroup",
    tile: "copies of both operands",
    file: "matmul/pack.wgsl",
    from: "vec4u(parameters.outer - 1u))",
    to: "vec4u(parameters.outer - 2u))",
  },
  {
    name: "packing that leaves out the last k",
    variant: "subgroup",
    tile: "copies of both operands",
    file: "matmul/pack.wgsl",
    from: "min(k, parameters.inner - 1u)",
    to: "min(k, parameters.inner - 2u)",
  },
  {
    name: "the second block of an image read from the first",
    variant: "subgroup",
    tile: "an image along K, in two steps a turn",
    file: "matmul/subgroup.wgsl.ts",
    from: /, texel \/ 16u\)/g,
    to: ", 0u)",
  },
  {
    name: "texels of an image read past their block",
    variant: "subgroup",
    tile: "an image along its columns, in two steps a turn",
    file: "matmul/subgroup.wgsl.ts",
    from: "rightQuad1 % 16u",
    to: "rightQuad1",
  },
  {
    name: "lines of a copy in an image read from the first",
    variant: "subgroup",
    tile: "copies of both operands in images, along K",
    file: "matmul/subgroup.wgsl.ts",
    from: /\/ 256u\), 0u/g,
    to: "/ 65536u), 0u",
  },
  {
    name: "pairs of bfloat16 exchanged along K",
    variant: "subgroup",
    tile: "an image of bfloat16 along K",
    file: "matmul/subgroup.wgsl.ts",
    from: "<< vec4u(16u)",
    to: "& vec4u(0xffff0000u)",
  },
  {
    name: "columns of even and odd index stored in each other's places",
    variant: "subgroup",
    tile: "an image of bfloat16 along its columns, and a K that ends within a step",
    file: "matmul/subgroup.wgsl.ts",
    from: "vec4f(p0_0.x, p0_1.x",
    to: "vec4f(p0_1.x, p0_0.x",
  },
  {
    name: "the first step of a turn taken twice",
    variant: "subgroup",
    tile: "an image along K, in two steps a turn",
    file: "matmul/subgroup.wgsl.ts",
    from: "let k = first + 4u;",
    to: "let k = first;",
  },
  {
    name: "tiles counted through the rows that leave out columns",
    variant: "subgroup",
    tile: "an image along its columns, and a K that ends within a step",
    file: "matmul/subgroup.wgsl.ts",
    from: "columnOfTiles % tilesAcross",
    to: "0u * columnOfTiles % tilesAcross",
  },
  {
    name: "no barrier before the tiles are read",
    variant: "tiled",
    file: "matmul/tiled.wgsl.ts",
    from: /workgroupBarrier\(\);\n {4}for/,
    to: "for",
  },
  {
    name: "quads of rows swapped",
    variant: "tiled",
    file: "matmul/tiled.wgsl.ts",
    from: /lane\.y \+ 8u\)/g,
    to: "lane.y + 9u)",
  },
  {
    name: "k past the end multiplied",
    variant: "tiled",
    file: "matmul/tiled.wgsl.ts",
    from: "min(16u, parameters.inner - first)",
    to: "16u",
  },
  {
    name: "k past the end not zero",
    variant: "tiled-64-4x4",
    hardware: "known",
    file: "matmul/tiled.wgsl.ts",
    from: /InTile\(select\(vec4f\(\), (\w+Numbers0), first \+ \w+ < parameters\.inner\)\)/g,
    to: "InTile($1)",
  },
  {
    name: "no barrier before the tiles are read",
    variant: "tiled-64-4x4",
    hardware: "known",
    file: "matmul/tiled.wgsl.ts",
    from: /workgroupBarrier\(\);\n {4}\{/,
    to: "{",
  },
  {
    name: "blocks of four k in four rows not transposed",
    variant: "tiled-64-4x4",
    hardware: "known",
    file: "matmul/tiled.wgsl.ts",
    from: "vec4f(left0_0.y, left0_1.y, left0_2.y, left0_3.y)",
    to: "left0_1",
  },
  {
    name: "one of four k multiplied twice",
    variant: "tiled-64-4x4",
    hardware: "unknown",
    file: "matmul/tiled.wgsl.ts",
    from: /leftTile\[k \/ 4u\]\[2\]/g,
    to: "leftTile[k / 4u][1]",
  },
  {
    name: "two groups of four k exchanged",
    variant: "tiled-64-4x4",
    hardware: "known",
    file: "matmul/tiled.wgsl.ts",
    from: "first / 4u + rightGroup0",
    to: "first / 4u + (rightGroup0 ^ 1u)",
  },
  {
    name: "quads of columns read from their neighbors",
    variant: "tiled-64-4x4",
    hardware: "known",
    file: "matmul/tiled.wgsl.ts",
    from: "tile.column / 4u + rightQuad0,",
    to: "tile.column / 4u + (rightQuad0 ^ 1u),",
  },
  {
    name: "the last quad of columns not stored",
    variant: "tiled-64-4x4",
    hardware: "known",
    file: "matmul/tiled.wgsl.ts",
    from: /(column\d+_0) < parameters\.columns/g,
    to: "$1 + 4u < parameters.columns",
  },
  {
    name: "a neighboring column added, times 1e-30",
    variant: "portable",
    file: "matmul/portable.wgsl",
    from: "mat4x4f(columns.x * rows,",
    to: "mat4x4f(columns.x * rows + 1e-30 * columns.z * rows,",
    check: matmulContainsNonFinite,
  },
];

// Rows, columns and k past the end, with batches and odd K. The first two examples have whole
// vectors of four.
const examples = [
  describeMatmul({ rows: 37, columns: 36, inner: 8, transposeRight: true, seed: 92 }),
  describeMatmul({ rows: 37, columns: 36, inner: 12, seed: 93 }),
  describeMatmul({ leading: [2], rows: 81, columns: 77, inner: 39, seed: 90 }),
  describeMatmul({
    leading: [2],
    rows: 81,
    columns: 77,
    inner: 39,
    transposeLeft: true,
    transposeRight: true,
    seed: 91,
  }),
];

// GPUs of the known maker have registers for all k of a step. Those of an unknown maker may lack
// them.
const makers = { known: "amd", unknown: "" };

// A separate Gpu, because its kernels will be broken.
function gpuOf(gpu: Gpu, { hardware }: Pick<Mutant, "hardware">): Gpu {
  return siblingGpu(
    gpu,
    hardware === undefined ? {} : { software: false, vendor: makers[hardware] },
  );
}

async function breaks(gpu: Gpu, mutant: Mutant): Promise<void> {
  const { variant, file, from, to, check = matmulMatchesTwin, tile } = mutant;
  const given = subgroupCases.find(({ name }) => name === tile);
  assert((given === undefined) === (tile === undefined), `there is no tile "${tile}"`);
  const broken = gpuOf(gpu, mutant);
  let changed = 0;
  broken.pipelines.rewrite = (part) => {
    if (part.file !== file) return part.source;
    const source = part.source.replace(from, to);
    if (source !== part.source) changed++;
    return source;
  };
  const failure = await check(broken, given === undefined ? variant : plannerFor(given), {
    examples: given === undefined ? examples : [given.description],
    runs: 0,
    endOnFailure: true,
  })
    .then(() => undefined, (error: Error) => error);
  assert(changed > 0, `"${mutant.name}" changes nothing`);
  assert(failure !== undefined, `"${mutant.name}" passes the checks`);
  const reason = String(failure.cause ?? failure);
  assert(
    /is .*, expected .*: off by|wanted the bits|after an infinity/.test(reason),
    `"${mutant.name}" fails for another reason: ${reason}`,
  );
}

onEachRuntime("matmul()'s checks pass these cases on unbroken kernels", async (gpu) => {
  const whole = new Map(mutants.map((mutant) => [`${mutant.variant} ${mutant.hardware}`, mutant]));
  for (const mutant of whole.values()) {
    const { variant } = mutant;
    const on = gpuOf(gpu, mutant);
    await matmulMatchesTwin(on, variant, { examples, runs: 0 });
    await matmulContainsNonFinite(on, variant, { examples, runs: 0 });
  }
}, { runtimes: ["deno"] });

for (const mutant of mutants) {
  onEachRuntime(
    `matmul()'s checks fail on "${mutant.variant}"${
      mutant.hardware ? " as on hardware" : ""
    } with ${mutant.name}`,
    (gpu) => breaks(gpu, mutant),
    { runtimes: ["deno"] },
  );
}
