/**
 * Proves that each identity can fail: the tests spoil the twin's numbers in one way at a time, as a
 * broken kernel would, and the identity for this fault must report it.
 */
import * as reference from "../../../src/reference/mod.ts";
import { randomNormal } from "../../../src/random.ts";
import * as rows from "../rows/identities.ts";
import type { RmsNormNumbers, VScaleNumbers } from "../rows/identities.ts";
import { assert, assertEquals } from "../assert/assert.ts";
import * as gradientBounds from "./gradient_bounds.ts";
import * as identities from "./identities.ts";
import type { AttentionNumbers } from "./layer.ts";
import { inner, type Plain } from "../vectors.ts";
import type { Violation } from "../violation.ts";

function normal(shape: readonly number[], seed: number): reference.ReferenceTensor {
  const length = reference.elementCount(shape);
  return reference.tensor(randomNormal({ seed, length }), shape);
}

function spoil(plain: Plain, change: (x: number, i: number) => number): Plain {
  return { data: Array.from(plain.data, change), shape: plain.shape };
}

// The size of 24 float32 roundings. For spoiled numbers, the violation must be larger.
const TOLERANCE = 24 * 2 ** -24;

function assertHolds(violation: Violation, what: string): void {
  assert(violation.compared > 0, `${what}: nothing was compared`);
  assert(violation.worst <= 1e-13, `${what} at ${violation.where}: ${violation.worst}`);
}

function assertFails(violation: Violation, what: string): void {
  assert(violation.worst > TOLERANCE, `${what} is not seen: ${violation.worst}`);
}

function layer(mode?: "full" | "backward-only"): AttentionNumbers {
  const shape = [2, 4, 7, 5], keyShape = [2, 2, 7, 5];
  const tensors = { query: normal(shape, 1), key: normal(keyShape, 2), value: normal(keyShape, 3) };
  const vScale = mode && { constant: reference.tensor([3, 8], [2]), mode };
  const forward = reference.attentionForward({ ...tensors, vScale });
  const outputGradient = normal(shape, 4);
  const gradients = reference.attentionBackward({ ...tensors, ...forward, outputGradient, vScale });
  return { ...tensors, ...forward, ...gradients, outputGradient, vScale };
}

const ALL = {
  valuePath: identities.valuePath,
  keyPath: identities.keyPath,
  queryPath: identities.queryPath,
  firstQueryGradient: identities.firstQueryGradient,
  logitRowsSumToZero: identities.logitRowsSumToZero,
  keyGradientsSumToZero: identities.keyGradientsSumToZero,
  queryAndKeyAgree: identities.queryAndKeyAgree,
};

Deno.test("identities hold for the twin's numbers and fail for spoiled ones", () => {
  for (const mode of [undefined, "full", "backward-only"] as const) {
    const good = layer(mode);
    for (const [name, identity] of Object.entries(ALL)) assertHolds(identity(good), name);
    // Adds 0.003 to one element, at each of three places. Elements have about the size 1.
    for (const i of [0, 17, 69]) {
      const nudge = (plain: Plain) => spoil(plain, (x, j) => i === j ? x + 3e-3 : x);
      const fails = (name: keyof typeof ALL, numbers: AttentionNumbers) =>
        assertFails(ALL[name](numbers), `${name} with element ${i}`);
      fails("valuePath", { ...good, valueGradient: nudge(good.valueGradient) });
      fails("keyPath", { ...good, keyGradient: nudge(good.keyGradient) });
      fails("keyGradientsSumToZero", { ...good, keyGradient: nudge(good.keyGradient) });
      fails("queryAndKeyAgree", { ...good, keyGradient: nudge(good.keyGradient) });
      fails("queryPath", { ...good, queryGradient: nudge(good.queryGradient) });
      fails("logitRowsSumToZero", { ...good, output: nudge(good.output) });
    }
    const first = { ...good, queryGradient: spoil(good.queryGradient, (x, i) => i ? x : 1e-3) };
    assertFails(identities.firstQueryGradient(first), "firstQueryGradient");
    if (mode === undefined) continue;
    assertHolds(identities.constantPath(good), "constantPath");
    const constantGradient = spoil(good.constantGradient!, (x) => x * 1.001);
    assertFails(identities.constantPath({ ...good, constantGradient }), "constantPath");
    const { constantGradient: _, ...without } = good;
    assertFails(identities.constantPath(without), "constantPath without its gradient");
  }
  // Gradients of another V-scale mode must violate the identities.
  const { valueGradient, keyGradient, queryGradient } = layer("full");
  assertFails(identities.valuePath({ ...layer(), valueGradient }), "V-scale unasked for");
  assertFails(identities.keyPath({ ...layer("backward-only"), keyGradient }), "V-scale in dP");
  assertFails(identities.queryPath({ ...layer("backward-only"), queryGradient }), "V-scale in dP");
});

Deno.test("identities fail for NaN, and for gradients that are missing or zero", () => {
  const good = layer();
  for (const name of ["valueGradient", "keyGradient", "queryGradient"] as const) {
    const zero = { ...good, [name]: spoil(good[name], () => 0) };
    const nan = { ...good, [name]: spoil(good[name], (x, i) => i === 3 ? NaN : x) };
    const path = `${name.slice(0, -"Gradient".length)}Path` as
      | "valuePath"
      | "keyPath"
      | "queryPath";
    assertFails(ALL[path](zero), `zero ${name}`);
    assertEquals(ALL[path](nan).worst, Infinity);
    assertEquals(ALL[path](nan).where.includes("head 0, position 0"), true);
  }
});

Deno.test("bounds hold for the twin's numbers and fail for larger gradients", () => {
  for (const mode of [undefined, "full", "backward-only"] as const) {
    const good = layer(mode);
    const bounds = (numbers: AttentionNumbers) => ({
      ...gradientBounds.valueBounds(numbers),
      key: gradientBounds.keyBound(numbers),
      query: gradientBounds.queryBound(numbers),
    });
    for (const [name, violation] of Object.entries(bounds(good))) assertHolds(violation, name);
    const large = (plain: Plain) => spoil(plain, (x) => 30 * x);
    const spoiled = bounds({
      ...good,
      valueGradient: large(good.valueGradient),
      keyGradient: large(good.keyGradient),
      queryGradient: large(good.queryGradient),
    });
    for (const [name, violation] of Object.entries(spoiled)) assertFails(violation, name);
  }
});

function rmsNorm(epsilon: number): RmsNormNumbers {
  const input = normal([4, 9], 1), gain = normal([9], 2), outputGradient = normal([4, 9], 3);
  const { inverseRms } = reference.rmsNormForward({ input, gain, epsilon });
  const gradients = reference.rmsNormBackward({ input, gain, inverseRms, outputGradient });
  return { input, gain, inverseRms, outputGradient, epsilon, ...gradients };
}

Deno.test("RMSNorm's identities hold for the twin's numbers and fail for spoiled ones", () => {
  for (const epsilon of [0, 1e-5, 0.5]) {
    const good = rmsNorm(epsilon);
    const nudged = {
      ...good,
      inputGradient: spoil(good.inputGradient, (x, i) => i === 20 ? x + 1e-3 : x),
    };
    for (const identity of [rows.rmsNormIsItsJacobian, rows.rmsNormRadialGradient]) {
      assertHolds(identity(good), identity.name);
      assertFails(identity(nudged), identity.name);
    }
    assertHolds(rows.rmsNormBound(good), "rmsNormBound");
    const large = { ...good, inputGradient: spoil(good.inputGradient, (x) => 10 * x) };
    assertFails(rows.rmsNormBound(large), "rmsNormBound");
    assertHolds(rows.rmsNormMeetsTarget(good, { target: 30 }), "rmsNormMeetsTarget");
    assertFails(rows.rmsNormMeetsTarget(large, { target: 14 }), "rmsNormMeetsTarget");
    // No row's r is large enough for this target, so nothing is compared.
    assertEquals(rows.rmsNormMeetsTarget(good, { target: 1e-6 }).compared, 0);
  }
});

Deno.test("V-scale's identities hold for the twin's numbers and fail for spoiled ones", () => {
  const value = normal([2, 3, 4, 5], 1), constant = reference.tensor([0.5, 5, 50], [3]);
  const scaledValueGradient = normal([2, 3, 4, 5], 2);
  const gradients = reference.vScaleBackward({ value, constant, scaledValueGradient });
  const good: VScaleNumbers = { value, constant, scaledValueGradient, ...gradients };
  assertHolds(rows.vScaleIsItsEigenvalues(good), "vScaleIsItsEigenvalues");
  assertHolds(rows.vScaleConstantGradient(good), "vScaleConstantGradient");
  for (const violation of Object.values(rows.vScaleBounds(good))) assertHolds(violation, "bounds");
  const valueGradient = spoil(good.valueGradient, (x) => x * 1.0001);
  assertFails(rows.vScaleIsItsEigenvalues({ ...good, valueGradient }), "vScaleIsItsEigenvalues");
  const constantGradient = spoil(good.constantGradient, (x, i) => i === 2 ? x * 1.001 : x);
  assertFails(rows.vScaleConstantGradient({ ...good, constantGradient }), "constantGradient");
  // A backward that drops the term along v returns r/(r + C) times scaledValueGradient.
  const dropped = spoil(good.scaledValueGradient, (g, i) => {
    const v = value.data.subarray(Math.floor(i / 5) * 5, Math.floor(i / 5) * 5 + 5);
    const r = inner(v, v);
    return g * r / (r + constant.data[Math.floor(i / 20) % 3]!);
  });
  assertFails(rows.vScaleIsItsEigenvalues({ ...good, valueGradient: dropped }), "a dropped term");
  const large = { ...good, valueGradient: spoil(good.valueGradient, (x) => 30 * x) };
  for (const violation of Object.values(rows.vScaleBounds(large))) assertFails(violation, "bounds");
});

Deno.test("comparisons of whole results see a different element, NaN and length", () => {
  assertEquals(rows.scaledDifference([2, 4], [1, 2], { factor: 2 }).worst, 0);
  assertEquals(rows.scaledDifference([2, 5], [1, 2], { factor: 2 }).worst, 0.25);
  assertEquals(rows.scaledDifference([2, NaN], [1, 2], { factor: 2 }).worst, Infinity);
  assertEquals(rows.scaledDifference([2], [1, 2], { factor: 2 }).worst, Infinity);
  assertEquals(rows.differingBits([1, NaN], [1, NaN]).worst, 0);
  assertEquals(rows.differingBits([1, -0], [1, 0]).worst, 1);
  assertEquals(rows.differingBits([1], [1, 0]).worst, Infinity);
  const pairs = { cotangent: [1, 2], pushedTangent: [3, 4], tangent: [1, 0] };
  assertEquals(rows.adjointness({ ...pairs, pulledCotangent: [11, 5] }).worst, 0);
  assertFails(rows.adjointness({ ...pairs, pulledCotangent: [11.001, 5] }), "adjointness");
});
