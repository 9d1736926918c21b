/** Breaks each kernel of the matrix product on purpose: its checks must fail. */
import type { Gpu } from "../../../mod.ts";
import { assert } from "../../support/assert/assert.ts";
import { onEachRuntime, siblingGpu } from "../../support/gpu.ts";
import { describeMatmul, matmulContainsNonFinite, matmulMatchesTwin } from "./properties.ts";
import { plannerFor, subgroupCases } from "./subgroup_cases.ts";
import { makers, type Mutant } from "./mutants/mutant.ts";
import { portableMutants } from "./mutants/portable.ts";
import { subgroupMutants } from "./mutants/subgroup.ts";
import { tiledMutants } from "./mutants/tiled.ts";

const mutants: readonly Mutant[] = [...portableMutants, ...subgroupMutants, ...tiledMutants];

// Tiles reach past the end of rows, columns and k. In the first two examples every row consists of
// whole vectors of four; the others have batches and an odd K.
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
