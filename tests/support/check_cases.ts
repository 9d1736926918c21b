/** Runs a property over drawn cases. */
import fc from "fast-check";
import type { Gpu } from "../../mod.ts";
import { assertEquals } from "./assert/assert.ts";
import { HangError, type HangOptions, unlessHanging } from "./check_cases/hang.ts";
import { type Report, Tally } from "./report.ts";

export interface PropertyOptions<Description = never> {
  /** Pinned cases to check instead of the property's own examples. */
  readonly examples?: readonly Description[];
  /** The seed of the drawn cases. Default: `GRADSINK_TEST_SEED`, or else the property's own. */
  readonly seed?: number;
  /** The number of cases drawn after the examples. Default: the property's own number. */
  readonly runs?: number;
  /** The most cases to draw, even if the property's own number is larger. */
  readonly mostRuns?: number;
  /** A path that fast-check printed, to repeat one failure. */
  readonly path?: string;
  /** Stop at the first failure, without shrinking it: a mutant only has to fail. */
  readonly endOnFailure?: boolean;
  /** For tests of check_cases/hang.ts. */
  readonly hang?: HangOptions;
}

/** Checks a property on a GPU. Throws if the property does not hold. */
export type Property = (gpu: Gpu, options?: PropertyOptions) => Promise<Report>;

/** A property's cases, and the check that {@linkcode checkCases} runs on each of them. */
export interface Cases<Description> {
  readonly name: string;
  readonly arbitrary: fc.Arbitrary<Description>;
  /** Every run checks these cases first: the shapes that matter most, and old counterexamples. */
  readonly examples: readonly Description[];
  readonly runs: number;
  readonly seed: number;
  /** Throws if the case fails. Must free its tensors, because a case that leaves buffers fails. */
  readonly check: (description: Description, tally: Tally, gpu: Gpu) => Promise<void>;
}

async function seedFromEnvironment(): Promise<number | undefined> {
  const variable = "GRADSINK_TEST_SEED";
  const { state } = await Deno.permissions.query({ name: "env", variable });
  const text = state === "granted" ? Deno.env.get(variable) : undefined;
  return text === undefined ? undefined : Number(text);
}

/**
 * Checks a property over its pinned and its drawn cases. A failure prints fast-check's seed and
 * path.
 */
export async function checkCases<Description>(
  gpu: Gpu,
  cases: Cases<Description>,
  options: PropertyOptions<Description> = {},
): Promise<Report> {
  const { name, arbitrary, check } = cases;
  const examples = options.examples ?? cases.examples;
  const runs = Math.min(options.runs ?? cases.runs, options.mostRuns ?? Infinity);
  const tally = new Tally();
  let done = 0;
  let hangs = false;
  const property = fc.asyncProperty(arbitrary, async (description) => {
    if (hangs) return; // Shrinking a case that hangs would take hours.
    const before = gpu.memory;
    const compared = tally.comparisons;
    try {
      await unlessHanging(() => check(description, tally, gpu), options.hang);
    } catch (error) {
      hangs = error instanceof HangError;
      throw error;
    }
    assertEquals(gpu.memory, before, "the case left GPU buffers behind");
    if (tally.comparisons > compared) done++;
  });
  await fc.assert(property, {
    seed: options.seed ?? await seedFromEnvironment() ?? cases.seed,
    ...options.path === undefined ? {} : { path: options.path },
    numRuns: examples.length + runs,
    examples: examples.map((example): [Description] => [example]),
    endOnFailure: options.endOnFailure ?? false,
  });
  return tally.report(name, done);
}

/** A property that runs {@linkcode checkCases} on a given `Gpu`. */
export function propertyOf<Description>(
  cases: Cases<Description>,
): (gpu: Gpu, options?: PropertyOptions<Description>) => Promise<Report> {
  return (gpu, options) => checkCases(gpu, cases, options);
}
