/** The variants of cross-entropy agree with the twin, and tests catch their mutants. */
import { crossEntropyForward } from "../../../mod.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { onEachRuntime, portableGpu, siblingGpu, testGpu } from "../../support/gpu.ts";
import { drawUniform } from "../../support/model/cases.ts";
import { onGpu } from "../../support/on_gpu.ts";
import { crossEntropyMatchesTwin } from "../../support/properties/model/cross_entropy.ts";

onEachRuntime(
  "crossEntropyForward() agrees with the twin by its portable kernel",
  (gpu) => crossEntropyMatchesTwin(portableGpu(gpu)),
);

for (const variant of ["portable", "row-per-invocation"]) {
  onEachRuntime(
    `crossEntropyForward() passes a NaN on to its row only: ${variant}`,
    async (gpu) => {
      for (const [place, value] of [[70 + 5, NaN], [70 + 69, NaN], [70 + 3, Infinity]] as const) {
        const logits = drawUniform({ seed: 1, shape: [3, 70] });
        logits.data[place] = value;
        const targets = { data: Float32Array.of(4, 5, 6), shape: [3] };
        const { loss, logSumExp } = await onGpu(gpu, crossEntropyForward, {
          logits,
          targets,
          variant,
        });
        for (const { data } of [loss, logSumExp]) {
          assertEquals([...data].map(Number.isNaN), [false, true, false], `${value} at ${place}`);
          assert(Number.isFinite(data[0]) && Number.isFinite(data[2]));
        }
      }
    },
  );
}

const file = "model/cross_entropy_forward_rows.wgsl";
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
    await gpu.sync(); // the mutant compiled
  }
});
