/**
 * The cases that property tests draw: small descriptions (shape, seed, pattern) that determine the
 * arrays. A failure prints the description, which suffices to repeat the case.
 */
import fc from "fast-check";
import * as reference from "../../src/reference/mod.ts";
import { randomNormal, randomUniform } from "../../src/random.ts";
import { assert } from "../support/assert/assert.ts";
import type { Violation } from "../support/violation.ts";

export type Pattern = "normal" | "sharp" | "sink" | "tiny" | "huge logits" | "duplicated keys";

/** An attention case. */
export interface AttentionDescription {
  readonly batch: number;
  readonly keyHeads: number;
  readonly group: number;
  readonly length: number;
  readonly headDim: number;
  readonly pattern: Pattern;
  readonly seed: number;
  readonly scale: number | undefined;
}

/** Draws attention cases; T = 1 and odd sizes are frequent. */
export const attentionDescription: fc.Arbitrary<AttentionDescription> = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  keyHeads: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 3 }),
  length: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 9 })),
  headDim: fc.integer({ min: 1, max: 6 }),
  pattern: fc.constantFrom<Pattern>(
    "normal",
    "sharp",
    "sink",
    "tiny",
    "huge logits",
    "duplicated keys",
  ),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
  scale: fc.constantFrom(undefined, undefined, 0.3, 1, -0.7),
});

/** The tensors of an attention case. */
export interface AttentionCase {
  readonly query: reference.ReferenceTensor;
  readonly key: reference.ReferenceTensor;
  readonly value: reference.ReferenceTensor;
  readonly constant: reference.ReferenceTensor;
  readonly outputGradient: reference.ReferenceTensor;
  readonly scale: number | undefined;
}

/** A tensor of normal float32 values with mean 0 and standard deviation `size`, by default 1. */
export function normal(
  shape: readonly number[],
  options: { readonly seed: number; readonly size?: number },
): reference.ReferenceTensor {
  const { seed, size = 1 } = options;
  const length = reference.elementCount(shape);
  return reference.tensor(randomNormal({ seed, length, standardDeviation: size }), shape);
}

/** A tensor of uniform float32 values in [minimum, maximum). */
export function uniform(
  shape: readonly number[],
  options: { readonly seed: number; readonly minimum: number; readonly maximum: number },
): reference.ReferenceTensor {
  return reference.tensor(
    randomUniform({ length: reference.elementCount(shape), ...options }),
    shape,
  );
}

/** The tensors of a description. */
export function drawAttention(description: AttentionDescription): AttentionCase {
  const { batch, keyHeads, group, length, headDim, pattern, seed, scale } = description;
  const queryShape = [batch, keyHeads * group, length, headDim];
  const keyShape = [batch, keyHeads, length, headDim];
  const size = pattern === "tiny" ? 1e-6 : 1;
  const logitSize = pattern === "sharp" ? 4 : pattern === "huge logits" ? 100 : size;
  const query = normal(queryShape, { seed, size: logitSize });
  const key = normal(keyShape, { seed: seed + 1, size: logitSize });
  for (let row = 0; row < key.data.length / headDim; row++) {
    const start = row * headDim;
    if (pattern === "duplicated keys") key.data.copyWithin(start, 0, headDim);
    // In the pattern "sink", the first token attracts every query: its key points in a direction
    // that all queries share.
    if (pattern === "sink" && row % length === 0) key.data.fill(2, start, start + headDim);
  }
  if (pattern === "sink") query.data.forEach((x, i) => query.data[i] = x / 2 + 1.5);
  return {
    query,
    key,
    value: normal(keyShape, { seed: seed + 2, size }),
    // r = ‖v‖² is about D size² in these cases, so r / (r + C) ranges from about 0.1 to 0.9.
    constant: uniform([keyHeads], {
      seed: seed + 3,
      minimum: 0.1 * headDim * size ** 2,
      maximum: 8 * headDim * size ** 2,
    }),
    outputGradient: normal(queryShape, { seed: seed + 4 }),
    scale,
  };
}

/** An upper bound of |z_tj| in a case, by Cauchy and Schwarz. */
export function largestLogit(drawn: AttentionCase): number {
  const headDim = drawn.query.shape[3]!;
  const longest = ({ data }: reference.ReferenceTensor) => {
    let most = 0;
    for (let offset = 0; offset < data.length; offset += headDim) {
      const at = { offsetA: offset, offsetB: offset, length: headDim };
      most = Math.max(most, reference.dot(data, data, at));
    }
    return Math.sqrt(most);
  };
  const scale = Math.abs(drawn.scale ?? 1 / Math.sqrt(headDim));
  return scale * longest(drawn.query) * longest(drawn.key);
}

/** After this many ms, a property checks no more cases. */
const TIME = 8000;
/** A property checks this many cases however long they take, or all of its `runs` if fewer. */
const LEAST_CASES = 10;

/**
 * Checks a property over drawn descriptions, with a fixed seed, and then prints the number of cases
 * and how much of each tolerance was used. After 8 s it skips the remaining cases, except for
 * examples and the first ten. So a property never fails because the machine is busy.
 */
export function checkProperty<Description>(
  arbitrary: fc.Arbitrary<Description>,
  options: {
    readonly seed: number;
    readonly runs: number;
    readonly examples?: readonly Description[];
    readonly check: (description: Description, tolerances: Tolerances) => void;
  },
): void {
  const { seed, runs, examples = [], check } = options;
  const tolerances = new Tolerances();
  const least = Math.min(runs, Math.max(LEAST_CASES, examples.length));
  const start = performance.now();
  let done = 0;
  fc.assert(
    fc.property(arbitrary, (description) => {
      if (done >= least && performance.now() - start > TIME) return;
      check(description, tolerances);
      done++;
    }),
    {
      seed,
      numRuns: runs,
      examples: examples.map((example): [Description] => [example]),
    },
  );
  assert(done >= least, `only ${done} of ${runs} cases were checked`);
  tolerances.report(done);
}

/** Checks errors against tolerances, and records the largest used share of each tolerance. */
export class Tolerances {
  readonly #shares = new Map<string, number>();
  #vacuous = true;

  /** Throws unless error ≤ tolerance. For an inequality that holds, the error is negative or 0. */
  within(error: number, options: { readonly tolerance: number; readonly what: string }): void {
    const { tolerance, what } = options;
    assert(error <= tolerance, `${what}: error ${error}, tolerance ${tolerance}`);
    const share = error <= 0 ? 0 : error / tolerance;
    this.#shares.set(what, Math.max(share, this.#shares.get(what) ?? -Infinity));
    if (error !== 0) this.#vacuous = false;
  }

  /** Throws unless an identity's violation is within the tolerance and something was compared. */
  holds(
    violation: Violation,
    options: { readonly tolerance: number; readonly what: string },
  ): void {
    assert(violation.compared > 0, `${options.what}: nothing was compared`);
    const what = `${options.what} at ${violation.where}`;
    assert(
      violation.worst <= options.tolerance,
      `${what}: violation ${violation.worst}, tolerance ${options.tolerance}`,
    );
    this.within(violation.worst, options);
  }

  /** Prints the largest used share of each tolerance. Throws if every error was exactly 0. */
  report(cases: number): void {
    if (this.#shares.size === 0) return;
    const shares = [...this.#shares].map(([what, share]) =>
      `${what} ${(100 * share).toFixed(1)} %`
    );
    console.log(`    ${cases} cases; share of the tolerance used: ${shares.join(", ")}`);
    // If all errors over many drawn cases are 0, nothing was computed.
    assert(!this.#vacuous, "all errors were exactly 0");
  }
}
