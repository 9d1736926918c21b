import { propertyOf } from "../../check_cases.ts";
import { drawVScale, type VScaleDescription, vScaleDescription } from "../../rows/cases.ts";
import * as identities from "../../rows/identities.ts";
import { U } from "../../tolerance.ts";
import { vScale } from "./passes.ts";

const vScaleExamples: readonly VScaleDescription[] = [
  { batch: 2, heads: 3, length: 40, columns: 12, seed: 83, pattern: "normal", constant: 1 },
  { batch: 1, heads: 2, length: 70, columns: 3, seed: 84, pattern: "normal", constant: 1 / 3 },
];

/**
 * V-scale's identities and bounds V1 to V3 hold for the GPU's gradients. The tolerance covers the
 * additions of a few sums over D elements and of a sum over the T · B rows of a head.
 */
export const vScaleObeysItsIdentities = propertyOf({
  name: "V-scale's identities and bounds",
  arbitrary: vScaleDescription,
  examples: vScaleExamples,
  seed: 753,
  runs: 16,
  async check(description, tally, gpu) {
    const { columns, batch, length } = description;
    const drawn = drawVScale(description);
    const numbers = { ...drawn, ...await vScale(gpu, drawn) };
    const tolerance = (4 * columns + 40 + batch * length / 64 + 64) * U;
    const bounds = identities.vScaleBounds(numbers);
    const violations = {
      "V1 eigenvalues": identities.vScaleIsItsEigenvalues(numbers),
      "V2 eigenvalue": bounds.eigenvalue,
      "V2 nine eighths": bounds.nineEighths,
      "V2 small values": bounds.smallValue,
      "V3 constant": identities.vScaleConstantGradient(numbers),
    };
    for (const [what, violation] of Object.entries(violations)) {
      tally.holds(what, { violation, tolerance });
    }
  },
});
