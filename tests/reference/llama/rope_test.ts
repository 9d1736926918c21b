import { ropeFrequencies } from "../../../src/reference/llama/rope.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

/** The scaling of Llama-3.2-1B. */
const scaling = {
  type: "llama3",
  factor: 32,
  lowFrequencyFactor: 1,
  highFrequencyFactor: 4,
  originalPositions: 8192,
} as const;
const plain = { headDim: 64, ropeBase: 500_000 };

/** Throws unless the numbers agree to the rounding of about ten operations, exponentiation too. */
function assertClose(given: number, wanted: number): void {
  assert(Math.abs(given - wanted) <= 1e-14 * wanted, `${given}, wanted ${wanted}`);
}

Deno.test("ropeFrequencies() is base^(−2i/D)", () => {
  const frequencies = ropeFrequencies(plain);
  assertEquals(frequencies.length, 32);
  frequencies.forEach((given, i) => assertClose(given, Math.exp(-i / 32 * Math.log(500_000))));
});

Deno.test("ropeFrequencies() divides every frequency for linear scaling", () => {
  const stretched = ropeFrequencies({ ...plain, ropeScaling: { type: "linear", factor: 4 } });
  ropeFrequencies(plain).forEach((each, i) => assertEquals(stretched[i], each / 4));
});

Deno.test("ropeFrequencies() keeps high frequencies, divides low ones and mixes those between for llama3", () => {
  const stretched = ropeFrequencies({ ...plain, ropeScaling: scaling });
  const counts = { kept: 0, mixed: 0, divided: 0 };
  ropeFrequencies(plain).forEach((each, i) => {
    const wavelength = 2 * Math.PI / each;
    if (wavelength < 8192 / 4) {
      counts.kept++;
      assertClose(stretched[i]!, each);
    } else if (wavelength > 8192) {
      counts.divided++;
      assertClose(stretched[i]!, each / 32);
    } else {
      counts.mixed++;
      const smooth = (8192 / wavelength - 1) / (4 - 1);
      assertClose(stretched[i]!, (1 - smooth) * each / 32 + smooth * each);
      assert(stretched[i]! < each && stretched[i]! > each / 32);
    }
  });
  assertEquals(counts, { kept: 15, mixed: 3, divided: 14 });
});
