import { attentionBackward, attentionForward } from "../../../../mod.ts";
import * as reference from "../../../../src/reference/mod.ts";
import {
  type AttentionCase,
  attentionDescription,
  BACKWARD_ONLY,
  describeEach,
  drawAttention,
  forwardResults,
  FULL,
  toTwin,
  twinInputs,
} from "../../attention/cases.ts";
import { type Property, propertyOf } from "../../check_cases.ts";
import { type Numbers, onGpu } from "../../on_gpu.ts";
import type { Tally } from "../../report.ts";

type Named = Readonly<Record<string, Numbers | undefined>>;
type Twins = Readonly<Record<string, reference.ReferenceTensor | undefined>>;

const examples = describeEach([
  { batch: 2, keyHeads: 2, group: 2, length: 37, headDim: 8, seed: 71 },
  { keyHeads: 2, length: 35, headDim: 4, seed: 72, vScale: FULL },
  { keyHeads: 2, length: 33, headDim: 4, seed: 73, vScale: BACKWARD_ONLY },
]);

const small = attentionDescription
  .filter(({ length, headDim, batch, keyHeads, group, pattern, scale }) =>
    length * batch * keyHeads * group <= 200 && headDim <= 36 && pattern === "normal" && scale !== 0
  );

// Checks that a spoiled element changes only those of the GPU's results that it changes in the
// twin.
function checkReach(
  tally: Tally,
  { what, clean, dirty, twinClean, twinDirty, exact }: {
    readonly what: string;
    readonly clean: Named;
    readonly dirty: Named;
    readonly twinClean: Twins;
    readonly twinDirty: Twins;
    /**
     * Whether the GPU's number must be NaN or infinite wherever the twin's is: true after a NaN,
     * but false after an infinity, because a compiler may assume that no number is infinite.
     */
    readonly exact: boolean;
  },
): void {
  // Next to a learned sink, a logit of -Infinity has weight 0. So an infinity may turn a result of
  // the twin into another finite number. Such results are only counted, as `changed`.
  let reached = 0, changed = 0, untouched = 0;
  for (const [name, numbers] of Object.entries(dirty)) {
    const before = clean[name]?.data, was = twinClean[name]?.data, is = twinDirty[name]?.data;
    if (numbers === undefined || before === undefined || was === undefined || is === undefined) {
      continue;
    }
    for (let i = 0; i < is.length; i++) {
      const x = numbers.data[i]!;
      if (Object.is(is[i], was[i])) {
        untouched++;
        if (!Object.is(x, before[i])) {
          throw new Error(`${what} changed ${name}[${i}], which has no part in it, to ${x}`);
        }
      } else if (!Number.isFinite(is[i]!)) {
        reached++;
        if (exact && Number.isFinite(x)) {
          throw new Error(`${what} did not reach ${name}[${i}]: ${x} where ${is[i]} was due`);
        }
      } else {
        changed++;
      }
    }
  }
  if (reached + changed === 0) throw new Error(`${what} reached nothing in the twin`);
  tally.count(reached + untouched);
}

function spoil<Args extends object>(args: Args, name: string, to: number, seed: number): Args {
  const numbers = (args as Record<string, Numbers>)[name]!;
  const data = numbers.data.slice();
  data[seed % data.length] = to;
  return { ...args, [name]: { data, shape: numbers.shape } };
}

/**
 * A NaN in query, key or value reaches all rows that depend on it. Neither NaN nor infinities
 * change any other row.
 */
export const attentionForwardPassesNonFinite = propertyOf({
  name: "NaN and infinities in attentionForward",
  arbitrary: small,
  examples,
  seed: 761,
  runs: 3,
  async check(description, tally, gpu) {
    const drawn = drawAttention(description);
    const run = (args: AttentionCase) => onGpu(gpu, attentionForward, args);
    const clean = await run(drawn);
    const twinClean = reference.attentionForward(twinInputs(drawn));
    for (const name of ["query", "key", "value"]) {
      for (const bad of [NaN, Infinity, -Infinity]) {
        for (const at of [description.seed * 37, 0]) {
          const spoiled = spoil(drawn, name, bad, at);
          checkReach(tally, {
            what: `${bad} in ${name}[${at}]`,
            clean,
            dirty: await run(spoiled),
            twinClean,
            twinDirty: reference.attentionForward(twinInputs(spoiled)),
            exact: Number.isNaN(bad),
          });
        }
      }
    }
  },
});

/**
 * A NaN in any of the backward's inputs reaches all results that depend on it. Neither NaN nor
 * infinities change any other result.
 */
export const attentionBackwardPassesNonFinite = propertyOf({
  name: "NaN and infinities in attentionBackward",
  arbitrary: small,
  examples,
  seed: 762,
  runs: 2,
  async check(description, tally, gpu) {
    const drawn = drawAttention(description);
    const args = { ...drawn, ...forwardResults(drawn) };
    const run = (given: typeof args) => onGpu(gpu, attentionBackward, given);
    const twin = (given: typeof args): Twins => ({
      ...reference.attentionBackward({
        ...twinInputs(given),
        output: toTwin(given.output),
        logSumExp: toTwin(given.logSumExp),
      }),
    });
    const clean = await run(args);
    const twinClean = twin(args);
    const names = ["query", "key", "value", "output", "logSumExp", "outputGradient"];
    for (const name of names) {
      // +Infinity in logSumExp would make the weights exp(z − Infinity) zero, and thus all results
      // finite. -Infinity makes the weights infinite.
      for (const bad of [NaN, name === "logSumExp" ? -Infinity : Infinity]) {
        const spoiled = spoil(args, name, bad, description.seed * 41);
        checkReach(tally, {
          what: `${bad} in ${name}[${description.seed * 41}]`,
          clean,
          dirty: await run(spoiled),
          twinClean,
          twinDirty: twin(spoiled),
          exact: Number.isNaN(bad),
        });
      }
    }
  },
});

/** The properties above, by test name. */
export const nonFiniteProperties: Readonly<Record<string, Property>> = {
  "attentionForward() passes NaN and infinities to the rows they belong to alone":
    attentionForwardPassesNonFinite,
  "attentionBackward() passes NaN and infinities to the rows they belong to alone":
    attentionBackwardPassesNonFinite,
};
