/** Tests the subgroup kernel with given tiles, and tests which tile is chosen for a product. */
import { chooseSubgroupTile } from "../../../src/ops/matmul/subgroup_choice.ts";
import type { SubgroupChoice } from "../../../src/ops/matmul/subgroup_cost.ts";
import type { MatmulReading } from "../../../src/ops/matmul/packing.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { onEachFitRuntime, siblingGpu, testGpu } from "../../support/gpu.ts";
import { matmulContainsNonFinite, matmulMatchesTwin } from "./properties.ts";
import { plannerFor, subgroupCases, unfitForSubgroups } from "./subgroup_cases.ts";

for (const tile of subgroupCases) {
  await onEachFitRuntime(`matmul()'s subgroup kernel is right with ${tile.name}`, async (gpu) => {
    const options = { examples: [tile.description], runs: 0 };
    await matmulMatchesTwin(gpu, plannerFor(tile), options);
    await matmulContainsNonFinite(gpu, plannerFor(tile), options);
  }, { unfit: unfitForSubgroups });
}

Deno.test("chooseSubgroupTile() copies no operand that exceeds a buffer or a dispatch", async () => {
  const gpu = await testGpu("deno");
  // 127 columns and K = 129 are no multiples of 4, so without a copy the kernel reads an operand
  // one number at a time. 2,000 rows share the right operand, so copying it saves time.
  const shape = {
    rows: 2000,
    columns: 127,
    inner: 129,
    batches: 1,
    left: { outer: 129, inner: 1, batch: 0 },
    right: { outer: 1, inner: 127, batch: 0 },
  };
  const isPacked = ({ left, parts }: SubgroupChoice) =>
    left.packed || parts.some(({ right }) => right.packed);
  assert(isPacked(chooseSubgroupTile(gpu, shape, 8)), "no copy where it pays");
  for (const limits of [{ maxBufferSize: 60_000 }, { maxComputeWorkgroupsPerDimension: 20 }]) {
    const small = siblingGpu(gpu, { limits });
    assert(!isPacked(chooseSubgroupTile(small, shape, 8)), `a copy beyond ${Object.keys(limits)}`);
  }
});

Deno.test("chooseSubgroupTile() takes tiles that compile slowly for large products only", async () => {
  const gpu = await testGpu("deno");
  // Returns a lane's number of accumulators for the product that computes the gradient of a
  // 512 × 96 weight. The left operand is contiguous along M, the right operand along N.
  const accumulators = (inner: number) => {
    const { rows, parts } = chooseSubgroupTile(
      gpu,
      {
        rows: 512,
        columns: 96,
        inner,
        batches: 1,
        left: { outer: 1, inner: 512, batch: 0 },
        right: { outer: 1, inner: 96, batch: 0 },
      },
      8,
      { copies: true },
    );
    return rows * parts[0]!.width;
  };
  assertEquals(accumulators(3072), 288);
  assert(accumulators(1024) <= 128, `${accumulators(1024)} accumulators`);
  const ofLongRows = chooseSubgroupTile(
    gpu,
    {
      rows: 1024,
      columns: 1024,
      inner: 1024,
      batches: 1,
      left: { outer: 1024, inner: 1, batch: 0 },
      right: { outer: 1024, inner: 1, batch: 0 },
    },
    8,
    { copies: true },
  );
  assert(ofLongRows.rows * ofLongRows.parts[0]!.width <= 128, "a large tile of long rows");
});

// Checks that a choice fits the kernel and covers every column once.
function checkChoice(
  { shape, rows, left, parts }: SubgroupChoice,
  { subgroupSize, name }: { readonly subgroupSize: number; readonly name: string },
): void {
  const isWhole = (length: number) => length % 4 === 0;
  const readsInner = (reading: MatmulReading) => reading.load === "along-inner";
  const readsOuter = (reading: MatmulReading) => reading.load === "along-outer";
  if (readsOuter(left)) assert(isWhole(rows), `${name}: quads of ${rows} rows`);
  assert(!readsInner(left) || isWhole(shape.inner), `${name}: left along K`);
  let end = 0;
  for (const { first, end: next, width, grouped, extra, right } of parts) {
    assertEquals(first, end, name);
    end = next;
    const tile = subgroupSize * width + extra;
    assert(extra <= 4 && (extra === 0 || !readsOuter(left)), `${name}: ${extra} extra columns`);
    assert(!readsInner(right) || isWhole(shape.inner), `${name}: right along K`);
    if (!readsOuter(right)) continue;
    assert(grouped && isWhole(width) && isWhole(first), `${name}: quads of columns`);
    assert(isWhole(tile) || end - first <= tile, `${name}: tiles of ${tile} columns`);
  }
  assertEquals(end, shape.columns, name);
}

for (const subgroupSize of [4, 8]) {
  Deno.test(`chooseSubgroupTile() covers every column once, with little beyond, by ${subgroupSize} lanes`, async () => {
    const gpu = await testGpu("deno");
    for (const rows of [1, 3, 17, 33, 65, 2049]) {
      for (const columns of [1, 5, 31, 33, 65, 97, 257, 1000]) {
        for (const inner of [1, 31, 96, 129]) {
          for (const transposed of [false, true]) {
            const strides = (outer: number) =>
              transposed
                ? { outer: inner, inner: 1, batch: 0 }
                : { outer: 1, inner: outer, batch: 0 };
            const choice = chooseSubgroupTile(gpu, {
              rows,
              columns,
              inner,
              batches: 1,
              left: { outer: inner, inner: 1, batch: 0 },
              right: strides(columns),
            }, subgroupSize);
            const name = `${rows} × ${columns} × ${inner}${transposed ? ", transposed" : ""}`;
            checkChoice(choice, { subgroupSize, name });
            const { shape } = choice;
            assertEquals(shape.rows * shape.columns, rows * columns, name);
            const computed = choice.rows * Math.ceil(shape.rows / choice.rows) *
              choice.parts.reduce((sum, { first, end, width, extra }) => {
                const tile = subgroupSize * width + extra;
                return sum + tile * Math.ceil((end - first) / tile);
              }, 0);
            // `computed` counts the numbers that all tiles compute, some of them past the product's
            // ends. Tiles of one row and one column per lane would compute the fewest.
            const least = shape.rows * subgroupSize * Math.ceil(shape.columns / subgroupSize);
            assert(computed <= 1.25 * least, `${name}: ${computed} of ${least}`);
          }
        }
      }
    }
  });
}
