import {
  indexOfNonFinite,
  storedPart,
  widen,
} from "../../../../src/model/checkpoint/safetensors/types.ts";
import { assert, assertEquals } from "../../../support/assert/assert.ts";

const PATTERNS = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);

/** The number that `bits` encodes as sign, exponent and fraction, as IEEE 754 defines it. */
function decoded(bits: number, { exponentBits, fractionBits }: Format): number {
  const sign = bits >>> (exponentBits + fractionBits) === 0 ? 1 : -1;
  const exponent = (bits >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0
    ? sign * fraction * 2 ** (1 - bias)
    : sign * (1 + fraction) * 2 ** (exponent - bias);
}

interface Format {
  readonly exponentBits: number;
  readonly fractionBits: number;
}

const FORMATS = {
  F16: { exponentBits: 5, fractionBits: 10 },
  BF16: { exponentBits: 8, fractionBits: 7 },
} as const;

for (const type of ["F16", "BF16"] as const) {
  Deno.test(`widen() converts all 65,536 patterns of ${type} to float32, exactly and in place`, () => {
    const numbers = new Float32Array(PATTERNS.length);
    storedPart(numbers, type).set(new Uint8Array(PATTERNS.buffer));
    assert(widen(numbers, type) === numbers);
    let finite = 0;
    for (const [bits, number] of numbers.entries()) {
      const wanted = decoded(bits, FORMATS[type]);
      assert(Object.is(number, wanted), `${type} ${bits.toString(16)}: ${number}, not ${wanted}`);
      if (Number.isFinite(wanted)) finite++;
    }
    // A pattern is finite unless its exponent bits are all 1. For each of the two signs,
    // 2 ** fractionBits patterns are not finite.
    assertEquals(finite, 2 ** 16 - 2 * 2 ** FORMATS[type].fractionBits);
  });

  Deno.test(`indexOfNonFinite() recognizes every pattern of ${type}`, () => {
    for (const bits of PATTERNS) {
      const wanted = Number.isFinite(decoded(bits, FORMATS[type]));
      // Puts the pattern into the first and the second half of a 32-bit word, and into a last half
      // word that has no second half.
      for (const [length, at] of [[4, 2], [4, 3], [3, 2]] as const) {
        const numbers = new Uint16Array(length).fill(0x3c00).with(at, bits);
        assertEquals(
          indexOfNonFinite(new Uint8Array(numbers.buffer), type),
          wanted ? -1 : at,
          `${type} ${bits.toString(16)} at ${at} of ${length}`,
        );
      }
    }
  });
}

Deno.test("widen() and indexOfNonFinite() leave float32 unchanged", () => {
  const given = [0, -0, 1e-45, -3.4028234663852886e38, 1 / 3];
  const numbers = Float32Array.from(given);
  assertEquals(storedPart(numbers, "F32").length, 20);
  assertEquals([...widen(numbers, "F32")], [...Float32Array.from(given)]);
  assertEquals(indexOfNonFinite(new Uint8Array(numbers.buffer), "F32"), -1);
  for (const value of [NaN, Infinity, -Infinity]) {
    const changed = numbers.with(3, value);
    assertEquals(indexOfNonFinite(new Uint8Array(changed.buffer), "F32"), 3);
  }
});

Deno.test("widen() works within a larger buffer, for any number of numbers", () => {
  for (const length of [0, 1, 2, 3, 5]) {
    const whole = new Float32Array(length + 2).fill(7);
    const numbers = whole.subarray(1, 1 + length);
    const bits = Uint16Array.from({ length }, (_, i) => 0x3f80 + i);
    storedPart(numbers, "BF16").set(new Uint8Array(bits.buffer));
    widen(numbers, "BF16");
    assertEquals([...whole], [7, ...Array.from({ length }, (_, i) => 1 + i / 128), 7]);
  }
});
