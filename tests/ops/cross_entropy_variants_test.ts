/** The kernels of cross-entropy, whichever the adapter prefers: against the twin, and broken on purpose. */
import { assert } from "../support/assert.ts";
import { onEachRuntime, portableGpu, siblingGpu, testGpu } from "../support/gpu.ts";
import { crossEntropyMatchesTwin } from "../support/properties/model_operators.ts";

onEachRuntime(
  "crossEntropyForward() agrees with the twin by its portable kernel",
  (gpu) => crossEntropyMatchesTwin(portableGpu(gpu)),
);

const file = "cross_entropy_forward_rows.wgsl";
const mutants: readonly (readonly [find: string, replace: string])[] = [
  [
    "maximum = max(maximum, largest(fourLogits(row, c)));",
    "maximum = largest(fourLogits(row, c));",
  ],
  ["sums += fourExponentials", "sums = fourExponentials"],
  ["* 8u + lane.x", "* 8u"],
  ["(sums.z + sums.w)", "sums.z"],
];

Deno.test(`every mutant of ${file} is caught`, async () => {
  const gpu = siblingGpu(await testGpu("deno"), {});
  gpu.variants.get = () => "row-per-invocation";
  await crossEntropyMatchesTwin(gpu);
  for (const [find, replace] of mutants) {
    let applied = 0;
    gpu.pipelines.rewrite = (part) => {
      if (part.file !== file) return part.source;
      applied = part.source.split(find).length - 1;
      return part.source.replace(find, replace);
    };
    const failure = await crossEntropyMatchesTwin(gpu).then(() => undefined, (error) => error);
    assert(applied === 1, `"${find}" occurs ${applied} times in ${file}`);
    assert(failure !== undefined, `"${replace}" survived`);
    await gpu.sync(); // it compiled
  }
});
