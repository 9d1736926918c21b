/** Cases for the properties of attention. A small description determines a case's arrays. */
import fc from "fast-check";
import { randomNormal, randomUniform } from "../../../src/random.ts";
import * as reference from "../../../src/reference/mod.ts";
import type { Numbers } from "../on_gpu.ts";

/** The kind of numbers in a case. */
export type AttentionPattern =
  | "normal"
  | "sharp" // logits of several tens
  | "hundreds" // logits of several hundreds
  | "huge logits" // ±1e4 and more
  | "sink" // queries attend mostly to the first key
  | "strong sink" // later queries give the first key all but a millionth of their weight
  | "tiny" // queries, keys and values around 1e-20; with V-scale, values around 1e-12
  | "duplicated keys"
  | "constant";

/** How large V-scale's constant is, relative to the usual ‖v‖². */
export type ConstantSize = "tiny" | "usual" | "huge";

/**
 * A head's learned sink: near the logSumExp of a row's logits (`usual`), so far below it that the
 * sink takes no weight (`weak`), or so far above it that the sink takes all (`strong`).
 * `logSumExpGradient` tells whether the loss depends on logSumExp.
 */
export interface SinkDescription {
  readonly size: "usual" | "weak" | "strong";
  readonly logSumExpGradient: boolean;
}

export interface AttentionDescription {
  readonly batch: number;
  readonly keyHeads: number;
  /** Query heads per key head. */
  readonly group: number;
  readonly length: number;
  readonly headDim: number;
  readonly seed: number;
  /** Default: the operator's. */
  readonly scale?: number | undefined;
  readonly pattern: AttentionPattern;
  readonly vScale?: {
    readonly mode: "full" | "backward-only";
    readonly size: ConstantSize;
  } | undefined;
  readonly sink?: SinkDescription | undefined;
}

export interface AttentionCase {
  readonly query: Numbers;
  readonly key: Numbers;
  readonly value: Numbers;
  readonly outputGradient: Numbers;
  readonly scale: number | undefined;
  readonly vScale:
    | { readonly constant: Numbers; readonly mode: "full" | "backward-only" }
    | undefined;
  readonly sinkLogit?: Numbers | undefined;
  readonly logSumExpGradient?: Numbers | undefined;
}

/** A case with the given fields. By default D is 8 and every other size 1. */
export function describeAttention(
  description: Partial<AttentionDescription>,
): AttentionDescription {
  return {
    batch: 1,
    keyHeads: 1,
    group: 1,
    length: 1,
    headDim: 8,
    seed: 1,
    pattern: "normal",
    ...description,
  };
}

export function describeEach(
  descriptions: readonly Partial<AttentionDescription>[],
  shared: Partial<AttentionDescription> = {},
): AttentionDescription[] {
  return descriptions.map((description) => describeAttention({ ...description, ...shared }));
}

/** V-scale in each of its modes, with constants about as large as ‖v‖². */
export const FULL = { mode: "full", size: "usual" } as const;
export const BACKWARD_ONLY = { mode: "backward-only", size: "usual" } as const;

/**
 * A learned sink about as large as a row's logSumExp. With SINK_IN_LOSS the loss also depends on
 * logSumExp.
 */
export const SINK = { size: "usual", logSumExpGradient: false } as const;
export const SINK_IN_LOSS = { size: "usual", logSumExpGradient: true } as const;

// A tile has 32 rows, a block 4. The lengths lie around multiples of both. 97 needs four tiles.
const lengths = [1, 2, 3, 4, 5, 31, 32, 33, 36, 61, 63, 64, 65, 67, 97];
// Eight lanes with one vec4f each hold 32 numbers. So D = 36 is the smallest that gives a lane two
// vec4f columns. D = 256 gives each lane eight.
const headDims = [4, 8, 12, 32, 36, 64, 96, 128, 256];

/**
 * The number of multiply-adds of one product such as Q Kᵀ, over all pairs of a query and a key that
 * it sees. The twin's time is proportional to this number.
 */
function work({ batch, keyHeads, group, length, headDim }: AttentionDescription): number {
  return batch * keyHeads * group * length * (length + 1) / 2 * headDim;
}

/** Draws V-scale in either mode with a constant of one of these sizes, or no V-scale. */
export function someVScale(
  ...sizes: readonly ConstantSize[]
): fc.Arbitrary<AttentionDescription["vScale"]> {
  const mode = fc.constantFrom("full" as const, "backward-only" as const);
  return fc.option(fc.record({ mode, size: fc.constantFrom(...sizes) }), { nil: undefined });
}

export const attentionDescription: fc.Arbitrary<AttentionDescription> = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  keyHeads: fc.integer({ min: 1, max: 3 }),
  group: fc.constantFrom(1, 2, 3, 4, 8),
  length: fc.oneof(fc.constantFrom(...lengths), fc.integer({ min: 1, max: 100 })),
  headDim: fc.constantFrom(...headDims),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
  scale: fc.constantFrom(undefined, undefined, undefined, 0.3, 1, -0.7, 0),
  pattern: fc.constantFrom<AttentionPattern>(
    "normal",
    "normal",
    "sharp",
    "hundreds",
    "huge logits",
    "sink",
    "tiny",
    "duplicated keys",
    "constant",
  ),
  vScale: someVScale("tiny", "usual", "usual", "huge"),
  sink: fc.option(
    fc.record({
      size: fc.constantFrom<SinkDescription["size"]>("usual", "usual", "weak", "strong"),
      logSumExpGradient: fc.boolean(),
    }),
    { nil: undefined },
  ),
})
  // Calls with a sink need kernels of their own, which take seconds to compile. So only cases with
  // the smallest head dimensions keep their sink.
  .map((description) =>
    description.headDim <= 12 ? description : { ...description, sink: undefined }
  )
  .filter((description) => work(description) <= 1.5e6);

// Element 0 is 1 in every query, 17 / scale in the first key and 0 in all other keys. All other
// elements of the first key are 0. So the first key's logit is 17, about 14 above the largest logit
// of another key.
function makeStrongSink(query: Numbers, key: Numbers, scale: number): void {
  const [, , length, headDim] = key.shape as [number, number, number, number];
  for (let row = 0; row < query.data.length / headDim; row++) query.data[row * headDim] = 1;
  for (let row = 0; row < key.data.length / headDim; row++) {
    const isFirst = row % length === 0;
    if (isFirst) key.data.fill(0, row * headDim, (row + 1) * headDim);
    key.data[row * headDim] = isFirst ? 17 / scale : 0;
  }
}

function normal(shape: readonly number[], seed: number, standardDeviation: number): Numbers {
  const length = reference.elementCount(shape);
  return { data: randomNormal({ seed, length, standardDeviation }), shape };
}

const logitSizes: Partial<Record<AttentionPattern, number>> = {
  sharp: 4,
  hundreds: 12,
  "huge logits": 100,
  tiny: 1e-20,
};
const constantSizes: Readonly<Record<ConstantSize, number>> = { tiny: 1e-4, usual: 1, huge: 1e4 };

export function drawAttention(description: AttentionDescription): AttentionCase {
  const { batch, keyHeads, group, length, headDim, seed, pattern, scale, vScale } = description;
  const { sink } = description;
  const queryShape = [batch, keyHeads * group, length, headDim];
  const keyShape = [batch, keyHeads, length, headDim];
  const size = logitSizes[pattern] ?? 1;
  // With values of 1e-20, V-scale's ‖v‖² would be subnormal for most D. An adapter may flush a
  // subnormal number to zero, so its results could not be compared.
  const valueSize = pattern !== "tiny" ? 1 : vScale === undefined ? size : 1e-12;
  const query = normal(queryShape, seed, size);
  const key = normal(keyShape, seed + 1, size);
  const value = normal(keyShape, seed + 2, valueSize);
  if (pattern === "constant") {
    query.data.fill(0.75);
    key.data.fill(-0.5);
    value.data.fill(1.25);
  }
  for (let row = 0; row < key.data.length / headDim; row++) {
    const start = row * headDim;
    if (pattern === "duplicated keys") key.data.copyWithin(start, 0, headDim);
    if (pattern === "sink" && row % length === 0) key.data.fill(2, start, start + headDim);
  }
  if (pattern === "sink") query.data.forEach((x, i) => query.data[i] = x / 2 + 0.75);
  if (pattern === "strong sink") makeStrongSink(query, key, scale ?? 1 / Math.sqrt(headDim));
  // ‖v‖² is about D · valueSize². Constants differ from head to head; those of size "usual" lie on
  // both sides of ‖v‖².
  const usual = headDim * valueSize ** 2 * constantSizes[vScale?.size ?? "usual"];
  const constant: Numbers = {
    data: randomUniform({
      seed: seed + 3,
      length: keyHeads,
      minimum: 0.2 * usual,
      maximum: 4 * usual,
    }),
    shape: [keyHeads],
  };
  return {
    query,
    key,
    value,
    outputGradient: normal(queryShape, seed + 4, 1),
    scale,
    vScale: vScale && { constant, mode: vScale.mode },
    ...sink === undefined ? {} : {
      sinkLogit: drawSinks([keyHeads * group], seed + 5, sink.size),
      ...sink.logSumExpGradient
        ? { logSumExpGradient: normal(queryShape.slice(0, 3), seed + 6, 1) }
        : {},
    },
  };
}

// A sink of 3 weighs about as much as a dozen normal logits together. With −30 or 30, float32 adds
// the sink's exponential to the sum of the logits' exponentials and loses the smaller of the two.
function drawSinks(
  shape: readonly number[],
  seed: number,
  size: SinkDescription["size"],
): Numbers {
  const { data } = normal(shape, seed, 1);
  const middle = { usual: 3, weak: -30, strong: 30 }[size];
  return { data: data.map((x) => middle + x), shape };
}

export function toTwin({ data, shape }: Numbers): reference.ReferenceTensor {
  return reference.tensor(data, shape);
}

export function toTwins<Name extends string>(
  numbers: Readonly<Record<Name, Numbers>>,
): Record<Name, reference.ReferenceTensor> {
  const entries = Object.entries<Numbers>(numbers).map(([name, each]) => [name, toTwin(each)]);
  return Object.fromEntries(entries);
}

export function toFloat32({ data, shape }: reference.ReferenceTensor): Numbers {
  return { data: Float32Array.from(data), shape };
}

export function twinInputs(drawn: AttentionCase): {
  query: reference.ReferenceTensor;
  key: reference.ReferenceTensor;
  value: reference.ReferenceTensor;
  outputGradient: reference.ReferenceTensor;
  scale: number | undefined;
  vScale: reference.ReferenceVScale | undefined;
  sinkLogit: reference.ReferenceTensor | undefined;
  logSumExpGradient: reference.ReferenceTensor | undefined;
} {
  return {
    query: toTwin(drawn.query),
    key: toTwin(drawn.key),
    value: toTwin(drawn.value),
    outputGradient: toTwin(drawn.outputGradient),
    scale: drawn.scale,
    vScale: drawn.vScale &&
      { constant: toTwin(drawn.vScale.constant), mode: drawn.vScale.mode },
    sinkLogit: drawn.sinkLogit && toTwin(drawn.sinkLogit),
    logSumExpGradient: drawn.logSumExpGradient && toTwin(drawn.logSumExpGradient),
  };
}

/**
 * The twin's forward results rounded to float32. Both the twin's backward pass and the kernel's
 * read them.
 */
export function forwardResults(drawn: AttentionCase): { output: Numbers; logSumExp: Numbers } {
  const { output, logSumExp } = reference.attentionForward(twinInputs(drawn));
  return { output: toFloat32(output), logSumExp: toFloat32(logSumExp) };
}
