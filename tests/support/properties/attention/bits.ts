/**
 * Properties of attention bit for bit: causality, independent heads, determinism, outputs written
 * in full, and weights that V-scale does not change.
 */
import fc from "fast-check";
import {
  attentionBackward,
  attentionForward,
  type Gpu,
  planAttentionBackward,
  planAttentionForward,
} from "../../../../mod.ts";
import { assert } from "../../assert/assert.ts";
import {
  type AttentionCase,
  type AttentionDescription,
  describeEach,
  drawAttention,
  forwardResults,
  FULL,
  someVScale,
} from "../../attention/cases.ts";
import { type Property, propertyOf } from "../../check_cases.ts";
import { type Numbers, onGpu, onGpuPlanned } from "../../on_gpu.ts";
import type { Tally } from "../../report.ts";
import type { BothPasses } from "./passes.ts";

/** Small cases of many shapes. The tests compare bits, so shapes matter more than numbers. */
const description: fc.Arbitrary<AttentionDescription> = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  keyHeads: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 2 }),
  length: fc.oneof(fc.constantFrom(31, 32, 33, 64, 65, 70), fc.integer({ min: 1, max: 75 })),
  headDim: fc.constantFrom(4, 12, 36),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
  scale: fc.constantFrom(undefined, -0.7),
  pattern: fc.constantFrom("normal" as const, "sharp" as const, "sink" as const),
  vScale: someVScale("usual"),
});

const examples = describeEach([
  { batch: 2, keyHeads: 2, group: 2, length: 69, headDim: 36, seed: 51 },
  { batch: 2, keyHeads: 2, length: 41, headDim: 12, seed: 52, vScale: FULL },
  { length: 1, keyHeads: 2, headDim: 4, seed: 53 },
]);

/**
 * Copies an array and changes the rows for whose head and position `chosen` returns true. With H
 * heads, head h of batch entry b has the number b · H + h.
 */
export function alter(
  { data, shape }: Numbers,
  chosen: (head: number, position: number) => boolean,
): Numbers {
  const [, , length = 1, width = 1] = shape;
  const copy = data.map((x, i) => {
    const row = Math.floor(i / width);
    return chosen(Math.floor(row / length), row % length) ? 1.5 - 3 * x + (i % 7) : x;
  });
  return { data: copy, shape };
}

/** The rows that `chosen` selects, concatenated. */
export function rowsWhere(
  { data, shape }: Numbers,
  chosen: (head: number, position: number) => boolean,
): Float32Array {
  const [, , length = 1, width = 1] = shape;
  return data.filter((_, i) => {
    const row = Math.floor(i / width);
    return chosen(Math.floor(row / length), row % length);
  });
}

function compareRows(
  tally: Tally,
  { what, actual, expected, chosen }: {
    readonly what: string;
    readonly actual: Numbers;
    readonly expected: Numbers;
    readonly chosen: (head: number, position: number) => boolean;
  },
): void {
  const rows = rowsWhere(expected, chosen);
  if (rows.length === 0) return;
  tally.sameBits(what, { actual: rowsWhere(actual, chosen), expected: rows });
}

async function passes(
  gpu: Gpu,
  args: AttentionCase & { readonly output: Numbers; readonly logSumExp: Numbers },
): Promise<BothPasses> {
  const forward = await onGpu(gpu, attentionForward, args);
  return { ...forward, ...await onGpu(gpu, attentionBackward, args) };
}

function differs(actual: Numbers, expected: Numbers): boolean {
  return actual.data.some((x, i) => !Object.is(x, expected.data[i]));
}

function splits(length: number): number[] {
  return [...new Set([1, 2, 5, 30, 32, 35, length - 1])].filter((s) => s >= 1 && s < length);
}

/** Changing queries, keys and values from position s on changes no bit of the rows before s. */
export const attentionForwardIsCausal = propertyOf({
  name: "attentionForward is causal",
  arbitrary: description,
  examples,
  seed: 731,
  runs: 8,
  async check(description, tally, gpu) {
    const drawn = drawAttention(description);
    const before = await onGpu(gpu, attentionForward, drawn);
    for (const s of splits(description.length)) {
      const later = (_head: number, position: number) => position >= s;
      const earlier = (_head: number, position: number) => position < s;
      const after = await onGpu(gpu, attentionForward, {
        ...drawn,
        query: alter(drawn.query, later),
        key: alter(drawn.key, later),
        value: alter(drawn.value, later),
      });
      for (const name of ["output", "logSumExp"] as const) {
        const pair = { actual: rows(after[name]), expected: rows(before[name]) };
        compareRows(tally, { what: `${name} before ${s}`, ...pair, chosen: earlier });
      }
      assert(differs(after.output, before.output), "the altered rows have no influence at all");
    }
  },
});

/** Reshapes logSumExp from [B, Hq, T] to [B, Hq, T, 1], and leaves other arrays as they are. */
function rows({ data, shape }: Numbers): Numbers {
  return shape.length === 3 ? { data, shape: [...shape, 1] } : { data, shape };
}

/**
 * Changing the inputs from position s on changes no bit of queryGradient before s. Changing
 * outputGradient, query, output and logSumExp before s changes no bit of keyGradient and
 * valueGradient from s on.
 */
export const attentionBackwardIsCausal = propertyOf({
  name: "attentionBackward is causal",
  arbitrary: description,
  examples,
  seed: 732,
  runs: 6,
  async check(description, tally, gpu) {
    const drawn = drawAttention(description);
    const args = { ...drawn, ...forwardResults(drawn) };
    const before = await onGpu(gpu, attentionBackward, args);
    for (const s of splits(description.length)) {
      const later = (_head: number, position: number) => position >= s;
      const earlier = (_head: number, position: number) => position < s;
      const futureChanged = await onGpu(gpu, attentionBackward, {
        ...args,
        query: alter(args.query, later),
        key: alter(args.key, later),
        value: alter(args.value, later),
        outputGradient: alter(args.outputGradient, later),
        output: alter(args.output, later),
        logSumExp: unrow(alter(rows(args.logSumExp), later)),
      });
      compareRows(tally, {
        what: `queryGradient before ${s}`,
        actual: futureChanged.queryGradient,
        expected: before.queryGradient,
        chosen: earlier,
      });
      const pastChanged = await onGpu(gpu, attentionBackward, {
        ...args,
        query: alter(args.query, earlier),
        outputGradient: alter(args.outputGradient, earlier),
        output: alter(args.output, earlier),
        logSumExp: unrow(alter(rows(args.logSumExp), earlier)),
      });
      for (const name of ["keyGradient", "valueGradient"] as const) {
        const pair = { actual: pastChanged[name], expected: before[name] };
        compareRows(tally, { what: `${name} from ${s} on`, ...pair, chosen: later });
      }
      assert(differs(pastChanged.valueGradient, before.valueGradient), "nothing was altered");
    }
  },
});

function unrow({ data, shape }: Numbers): Numbers {
  return { data, shape: shape.slice(0, 3) };
}

export const attentionKeepsHeadsApart = propertyOf({
  name: "attention keeps heads apart",
  arbitrary: description.filter(({ batch, keyHeads }) => batch * keyHeads > 1),
  examples: examples.slice(0, 2),
  seed: 733,
  runs: 4,
  async check(description, tally, gpu) {
    const { batch, keyHeads, group } = description;
    const drawn = drawAttention(description);
    const args = { ...drawn, ...forwardResults(drawn) };
    const before = await passes(gpu, args);
    for (let changed = 0; changed < batch * keyHeads; changed++) {
      const ofKey = (head: number) => head === changed;
      const ofQuery = (head: number) => Math.floor(head / group) === changed;
      const altered = {
        ...args,
        query: alter(args.query, ofQuery),
        key: alter(args.key, ofKey),
        value: alter(args.value, ofKey),
        outputGradient: alter(args.outputGradient, ofQuery),
      };
      const after = await passes(gpu, altered);
      const others = { query: (head: number) => !ofQuery(head), key: (h: number) => !ofKey(h) };
      const queryNames = ["output", "logSumExp", "queryGradient"] as const;
      const keyNames = ["keyGradient", "valueGradient"] as const;
      for (const name of [...queryNames, ...keyNames]) {
        const chosen = (keyNames as readonly string[]).includes(name) ? others.key : others.query;
        compareRows(tally, {
          what: `${name} beside head ${changed}`,
          actual: rows(after[name]),
          expected: rows(before[name]),
          chosen,
        });
      }
    }
  },
});

/**
 * The same call gives the same bits, and so does each run of a plan. A plan overwrites every
 * element of its outputs, which are filled with NaN before each run.
 */
export const attentionRepeatsItself = propertyOf({
  name: "attention repeats itself and overwrites its outputs",
  arbitrary: description,
  examples,
  seed: 734,
  runs: 8,
  async check(description, tally, gpu) {
    const drawn = drawAttention(description);
    const args = { ...drawn, ...forwardResults(drawn) };
    const once = await passes(gpu, args);
    const forwards = await onGpuPlanned(gpu, planAttentionForward, { args: drawn, runs: 2 });
    const backwards = await onGpuPlanned(gpu, planAttentionBackward, { args, runs: 2 });
    for (const run of [...forwards, ...backwards]) {
      for (const [name, numbers] of Object.entries(run) as [keyof typeof once, Numbers][]) {
        tally.sameBits(name, { actual: numbers.data, expected: once[name]?.data ?? [] });
        assert(numbers.data.every(Number.isFinite), `${name} has elements that were not written`);
      }
    }
  },
});

/**
 * V-scale changes no bit of logSumExp in either mode, and no bit of the forward in mode
 * "backward-only".
 */
export const vScaleLeavesTheWeightsAlone = propertyOf({
  name: "V-scale leaves the attention weights alone",
  arbitrary: description,
  examples,
  seed: 735,
  runs: 8,
  async check(description, tally, gpu) {
    const drawn = drawAttention({ ...description, vScale: FULL });
    const plain = await onGpu(gpu, attentionForward, { ...drawn, vScale: undefined });
    const scaled = await onGpu(gpu, attentionForward, drawn);
    const mode = "backward-only";
    const backwardOnly = await onGpu(gpu, attentionForward, {
      ...drawn,
      vScale: drawn.vScale && { ...drawn.vScale, mode },
    });
    const pairs = [
      ["logSumExp in mode full", scaled.logSumExp, plain.logSumExp],
      ["logSumExp in mode backward-only", backwardOnly.logSumExp, plain.logSumExp],
      ["output in mode backward-only", backwardOnly.output, plain.output],
    ] as const;
    for (const [what, actual, expected] of pairs) {
      tally.sameBits(what, { actual: actual.data, expected: expected.data });
    }
    assert(differs(scaled.output, plain.output), "mode full left the output alone too");
  },
});

/** The properties above, by test name. */
export const bitProperties: Readonly<Record<string, Property>> = {
  "attentionForward() is causal bit for bit": attentionForwardIsCausal,
  "attentionBackward() is causal bit for bit": attentionBackwardIsCausal,
  "attention keeps heads and batches apart bit for bit": attentionKeepsHeadsApart,
  "attention is deterministic and overwrites poisoned outputs in full": attentionRepeatsItself,
  "attentionForward() has the same attention weights with V-scale, bit for bit":
    vScaleLeavesTheWeightsAlone,
};
