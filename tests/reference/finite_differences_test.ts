import * as reference from "../../src/reference/mod.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { inner } from "../support/vectors.ts";
import { normal } from "./cases.ts";

const { centralDifference, complexStepDerivative, richardsonDerivative, tensor } = reference;
const { add, complex, divide, exponential, multiply, squareRoot, subtract } =
  reference.complexNumbers;

/** Functions with their derivatives at 0. */
const FUNCTIONS: readonly { f: (h: number) => number; derivative: number; name: string }[] = [
  { name: "exp", f: (h) => Math.exp(h), derivative: 1 },
  { name: "sin(1 + h)", f: (h) => Math.sin(1 + h), derivative: Math.cos(1) },
  {
    name: "tanh(0.3 + 30 h)",
    f: (h) => Math.tanh(0.3 + 30 * h),
    derivative: 30 / Math.cosh(0.3) ** 2,
  },
  { name: "1/(2 + h)", f: (h) => 1 / (2 + h), derivative: -0.25 },
  { name: "cubic", f: (h) => 5 + 2 * h - 7 * h ** 3, derivative: 2 },
  { name: "constant", f: () => 3, derivative: 0 },
  { name: "large offset", f: (h) => 1e9 + Math.sin(h), derivative: 1 },
];

Deno.test("richardsonDerivative() is right within its own error estimate, and the estimate is small", () => {
  for (const { f, derivative, name } of FUNCTIONS) {
    const { value, error } = richardsonDerivative(f);
    assert(Math.abs(value - derivative) <= 2 * error + Number.EPSILON * Math.abs(derivative), name);
    // With an offset of 1e9, rounding costs nine digits of sin h. The estimate must show this loss.
    const wanted = name === "large offset" ? 1e-4 : 1e-10 * Math.max(1, Math.abs(derivative));
    assert(error < wanted, `${name}: error estimate ${error}`);
    if (name === "large offset") assert(error > 1e-9, `${name}: error estimate ${error}`);
  }
});

Deno.test("richardsonDerivative() finds its step from one that is far too large", () => {
  const { value, error } = richardsonDerivative((h) => Math.tanh(300 * h), { step: 1, levels: 20 });
  assert(Math.abs(value - 300) <= 2 * error && error < 1e-6, `${value} ± ${error}`);
});

Deno.test("centralDifference() is off by the third derivative's term", () => {
  // (f(h) − f(−h))/2h = f′ + f‴ h²/6 + …, here with f‴ = 1.
  const step = 1e-2;
  const excess = centralDifference(Math.exp, { step }) - 1;
  assert(Math.abs(excess / (step ** 2 / 6) - 1) < 1e-4);
  assert(Math.abs(centralDifference(Math.exp) - 1) < 1e-10);
});

Deno.test("directionalDerivative() moves the named tensors together and leaves the others fixed", () => {
  const at = { x: normal([2, 3], { seed: 1 }), y: normal([6], { seed: 2 }), z: tensor([2], [1]) };
  const f = ({ x, y, z }: typeof at) => inner(x.data, y.data) * z.data[0]! ** 2;
  const dx = normal([2, 3], { seed: 3 }), dy = normal([6], { seed: 4 });
  const both = reference.directionalDerivative(f, { at, direction: { x: dx, y: dy } });
  const wanted = 4 * (inner(dx.data, at.y.data) + inner(at.x.data, dy.data));
  assert(Math.abs(both.value - wanted) < 1e-12);
  const alone = reference.directionalDerivative(f, { at, direction: { x: dx } });
  assert(Math.abs(alone.value - 4 * inner(dx.data, at.y.data)) < 1e-12);
  assertEquals(reference.directionalDerivative(f, { at, direction: {} }).value, 0);
});

Deno.test("complexStepDerivative() is exact to rounding through every operation", () => {
  // f(x) = √(x² + 3) exp(x)/(x − 5) at x = 1.5. The rules of calculus give the wanted derivative.
  const x = 1.5;
  const derivative = complexStepDerivative((h) => {
    const z = add(complex(x), h);
    const root = squareRoot(add(multiply(z, z), complex(3)));
    return divide(multiply(root, exponential(z)), subtract(z, complex(5)));
  });
  const root = Math.sqrt(x * x + 3);
  const value = root * Math.exp(x) / (x - 5);
  const wanted = value * (x / root ** 2 + 1 - 1 / (x - 5));
  assert(Math.abs(derivative / wanted - 1) < 4 * Number.EPSILON);
  // The root of a negative number is imaginary, with the sign of the radicand's imaginary part.
  // The next two lines check only the imaginary part; the derivative is in the tiny real part.
  assert(Math.abs(squareRoot(complex(-4, 1e-20)).im - 2) < 1e-15);
  assertEquals(squareRoot(complex(-4, -1e-20)).im, -2);
  assertEquals(squareRoot(complex(0)), complex(0));
  const { re, im } = squareRoot(complex(3, 4));
  assert(Math.hypot(re - 2, im - 1) < 1e-15);
});

Deno.test("finite differences and complex steps reject bad steps", () => {
  for (const step of [0, -1, NaN, Infinity]) {
    const wanted = `step is ${step}, wanted a positive finite number`;
    assertThrows(
      () => centralDifference(Math.exp, { step }),
      RangeError,
      `centralDifference: ${wanted}`,
    );
    assertThrows(() => richardsonDerivative(Math.exp, { step }), RangeError, wanted);
    assertThrows(() => complexStepDerivative(exponential, { step }), RangeError, wanted);
  }
  assertThrows(() => richardsonDerivative(Math.exp, { levels: 1 }), RangeError, "levels is 1");
  const at = { x: tensor([1, 2], [2]) };
  const f = ({ x }: typeof at) => x.data[0]!;
  assertThrows(
    () => reference.directionalDerivative(f, { at, direction: { x: tensor([1], [1]) } }),
    TypeError,
    "direction.x has shape [1], wanted [2]",
  );
  const direction = { y: tensor([1], [1]) } as unknown as { x: reference.ReferenceTensor };
  assertThrows(
    () => reference.directionalDerivative(f, { at, direction }),
    TypeError,
    "direction.y has shape [1], wanted a name that at has",
  );
});
