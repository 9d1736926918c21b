/** The subgroup kernel by tiles that are given, and how it chooses them. */
import { chooseSubgroupTile, type SubgroupChoice } from "../../src/ops/matmul_subgroup.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { onEachRuntime, siblingGpu, testGpu } from "../support/gpu.ts";
import { matmulContainsNonFinite, matmulMatchesTwin } from "./matmul_properties.ts";
import { plannerFor, subgroupCases, unfitForSubgroups } from "./matmul_subgroup_cases.ts";

for (const tile of subgroupCases) {
  onEachRuntime(`matmul()'s subgroup kernel is right with ${tile.name}`, async (gpu) => {
    const reason = unfitForSubgroups(gpu);
    if (reason !== undefined) return console.log(`    it cannot run here: ${reason}`);
    const options = { examples: [tile.description], runs: 0 };
    await matmulMatchesTwin(gpu, plannerFor(tile), options);
    await matmulContainsNonFinite(gpu, plannerFor(tile), options);
  });
}

Deno.test("chooseSubgroupTile() copies no operand beyond what a buffer or a dispatch holds", async () => {
  const gpu = await testGpu("deno");
  // Odd lengths, and a right operand that many rows share: a copy pays.
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

Deno.test("chooseSubgroupTile() covers every column once, with little beyond", async () => {
  const gpu = await testGpu("deno");
  for (const rows of [1, 3, 17, 33, 65, 2049]) {
    for (const columns of [1, 5, 31, 33, 65, 97, 257, 1000]) {
      for (const inner of [1, 31, 96, 129]) {
        const { shape, parts, rows: tall } = chooseSubgroupTile(gpu, {
          rows,
          columns,
          inner,
          batches: 1,
          left: { outer: inner, inner: 1, batch: 0 },
          right: { outer: 1, inner: columns, batch: 0 },
        }, 8);
        const name = `${rows} × ${columns} × ${inner}`;
        assertEquals(shape.rows * shape.columns, rows * columns);
        let end = 0, computed = 0;
        for (const part of parts) {
          assertEquals(part.first, end, name);
          end = part.end;
          const tile = 8 * part.width;
          computed += tall * Math.ceil(shape.rows / tall) * tile *
            Math.ceil((part.end - part.first) / tile);
        }
        assertEquals(end, shape.columns, name);
        // A tile has 4 rows of 8 numbers at the least.
        assert(
          computed <= 1.6 * 4 * Math.ceil(shape.rows / 4) * 8 * Math.ceil(shape.columns / 8),
          name,
        );
      }
    }
  }
});
