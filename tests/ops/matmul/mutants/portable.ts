/** Mutants of the portable and the barrier-free variant. */
import { matmulContainsNonFinite } from "../properties.ts";
import type { Mutant } from "./mutant.ts";

export const portableMutants: readonly Mutant[] = [
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
    name: "a neighboring column added, times 1e-30",
    variant: "portable",
    file: "matmul/portable.wgsl",
    from: "mat4x4f(columns.x * rows,",
    to: "mat4x4f(columns.x * rows + 1e-30 * columns.z * rows,",
    check: matmulContainsNonFinite,
  },
];
