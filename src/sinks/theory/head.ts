/**
 * Checks one query head of one sequence, for `attention.ts`, which defines g, β and b. It
 * computes attention and β in float64, checks the queries, and adds to the sums that the checks of
 * keys and values need.
 */
import { type Numbers, precisionOf, rowDot, rowNorm } from "../numbers.ts";
import type { AttentionTrace } from "../../reference/llama/trace.ts";
import type { AttentionShape } from "../attention_column.ts";
import type { LayerValve } from "../valve.ts";
import type { CheckMeter } from "./slack.ts";

/** The checks of attention. */
export type AttentionChecks = Readonly<
  Record<
    | "weights"
    | "value"
    | "key"
    | "query"
    | "firstQuery"
    | "rows"
    | "gate"
    | "weightedBound"
    | "massBound"
    | "momentBound"
    | "keyBound"
    | "queryBound",
    CheckMeter
  >
>;

/** A layer to check. */
export interface AttentionLayer {
  readonly attention: AttentionTrace<Numbers>;
  /** The dimensions. `batch` is the number of sequences to check, from the trace's first on. */
  readonly shape: AttentionShape;
  readonly layer: number;
  readonly valve: LayerValve | undefined;
  /** The sink logit of each query head; undefined without sinks. */
  readonly sinkLogits: readonly number[] | undefined;
  /** As in `TheoryOptions`. */
  readonly position: number;
}

/**
 * Sums over the query heads that read one key head, for each key position s. These sums are the
 * right sides of A1, A2, A5 and A6 in src/reference/theory.md, and the magnitude of A2's terms.
 */
export class KeySums {
  /** ∇v_s by identity A1, or ∇v̂_s with V-scale: Σ a_ts g_t, [T, D] */
  readonly valueGradient: Float64Array;
  /** ∇k_s by identity A2: Σ a_ts β_ts q_t/√D, [T, D] */
  readonly keyGradient: Float64Array;
  /** Σ a_ts ‖g_t‖, [T]: A5's bound on ‖∇v_s‖ from the weights, and the magnitude of A1's terms. */
  readonly weighted: Float64Array;
  /** A5's bound on ‖∇v_s‖ from the column mass M_s = Σ_t a_ts: M_s max_t ‖g_t‖, [T] */
  readonly mass: Float64Array;
  /** A5's bound on ‖∇v_s‖ from the second moment S_s = Σ_t a_ts²: √S_s (Σ_t ‖g_t‖²)^½, [T] */
  readonly moment: Float64Array;
  /** A6's bound on ‖∇k_s‖: max_t ‖q_t‖ max_t |β_ts| M_s/√D, [T] */
  readonly key: Float64Array;
  /**
   * The magnitude of A2's terms, to which rounding errors are relative: Σ a_ts ‖g_t‖ (‖v_s‖ + Σ_j
   * a_tj ‖v_j‖) ‖q_t‖/√D, [T]
   */
  readonly keyScale: Float64Array;
  /** The largest error that rounding can cause, as a share of `weighted` or `keyScale`. */
  tolerance = 0;
  /**
   * The largest errors that flushing tiny weights and their products to 0 can cause: `valueFlush`
   * in a row of the value gradient, `keyFlush` in a row of the key gradient.
   */
  valueFlush = 0;
  keyFlush = 0;

  constructor({ context, headDim }: { readonly context: number; readonly headDim: number }) {
    this.valueGradient = new Float64Array(context * headDim);
    this.keyGradient = new Float64Array(context * headDim);
    this.weighted = new Float64Array(context);
    this.mass = new Float64Array(context);
    this.moment = new Float64Array(context);
    this.key = new Float64Array(context);
    this.keyScale = new Float64Array(context);
  }
}

/** Locates a query head's numbers. */
export interface Head extends AttentionLayer {
  /** The head's first row in [B, Hq, T, D]. */
  readonly rows: number;
  /** The first row of the head's key head in [B, Hkv, T, D]. */
  readonly keys: number;
  /** v, or v̂ with full V-scale. */
  readonly used: Numbers;
  /** The sink logit. */
  readonly sink: number | undefined;
  /** The head's place, for messages. */
  readonly where: string;
}

interface HeadNumbers {
  /** 1/√D */
  readonly scale: number;
  /** a_ts: [T, T], 0 for s > t */
  readonly weights: Float64Array;
  /** b_t, the sink's share of the weight: [T]; zeros without a sink. */
  readonly shares: Float64Array;
  /**
   * Σ_s exp(z_ts − logSumExp_t), and with a sink plus exp(sink − logSumExp_t), with the model's
   * logSumExp: [T]
   */
  readonly sums: Float64Array;
  /** ‖g_t‖, ‖q_t‖, ‖k_s‖, ‖v_s‖: [T] */
  readonly g: Float64Array;
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly tolerance: number;
}

function numbersOf({ attention, shape, rows, keys, used, sink }: Head): HeadNumbers {
  const { context, headDim } = shape;
  const { query, key, logSumExp, gradients } = attention;
  const scale = 1 / Math.sqrt(headDim);
  const norms = (data: Numbers, first: number) =>
    Float64Array.from(
      { length: context },
      (_, t) => rowNorm(data, (first + t) * headDim, headDim),
    );
  const weights = new Float64Array(context * context);
  const sums = new Float64Array(context);
  const shares = new Float64Array(context);
  for (let t = 0; t < context; t++) {
    const logits = weights.subarray(t * context, t * context + t + 1);
    let most = sink ?? -Infinity, total = 0;
    for (let s = 0; s <= t; s++) {
      const at = { a: (rows + t) * headDim, b: (keys + s) * headDim, width: headDim };
      logits[s] = scale * rowDot(query, key, at);
      most = Math.max(most, logits[s]!);
    }
    for (let s = 0; s <= t; s++) {
      sums[t]! += Math.exp(logits[s]! - logSumExp[rows + t]!);
      logits[s] = Math.exp(logits[s]! - most);
      total += logits[s]!;
    }
    if (sink !== undefined) {
      sums[t]! += Math.exp(sink - logSumExp[rows + t]!);
      shares[t] = Math.exp(sink - most);
      total += shares[t]!;
      shares[t]! /= total;
    }
    for (let s = 0; s <= t; s++) logits[s]! /= total;
  }
  const q = norms(query, rows), k = norms(key, keys);
  const largest = Math.max(
    scale * q.reduce((a, b) => Math.max(a, b)) * k.reduce((a, b) => Math.max(a, b)),
    sink !== undefined && Number.isFinite(sink) ? Math.abs(sink) : 0,
  );
  return {
    scale,
    weights,
    shares,
    sums,
    g: norms(gradients.output, rows),
    q,
    k,
    v: norms(used, keys),
    tolerance: precisionOf(query).unit *
      ((headDim / 2 + 32) * largest + 2 * context + headDim + 100),
  };
}

/** Checks a query head's queries, and adds their terms to the sums of its key head. */
export function addHead(checks: AttentionChecks, sums: KeySums, head: Head): void {
  const numbers = numbersOf(head);
  sums.tolerance = Math.max(sums.tolerance, numbers.tolerance);
  const { context } = head.shape;
  const beta = new Float64Array(context * context);
  for (let t = 0; t < context; t++) addQuery(checks, sums, { ...head, numbers, beta, t });
  const { g, q, v, scale } = numbers;
  const { tiny } = precisionOf(head.attention.query);
  const largestValue = v.reduce((a, b) => Math.max(a, b));
  for (let t = 0; t < context; t++) {
    // A weight may be flushed to 0, and so may each of its D products.
    sums.valueFlush += tiny * (Math.sqrt(head.shape.headDim) + g[t]!);
    sums.keyFlush += tiny *
      (Math.sqrt(head.shape.headDim) + 2 * scale * g[t]! * largestValue * q[t]!);
  }
  addColumns(sums, { numbers, beta, context });
}

/** Checks one query's identities and bound, and adds its terms to each key's sums. */
function addQuery(
  checks: AttentionChecks,
  sums: KeySums,
  options: Head & {
    readonly numbers: HeadNumbers;
    /** β_ts: [T, T], written here */
    readonly beta: Float64Array;
    readonly t: number;
  },
): void {
  const { attention, shape, layer, position, rows, keys, used, numbers, beta, t } = options;
  const { context, headDim } = shape;
  const { query, key, output, gradients } = attention;
  const { scale, weights, tolerance } = numbers;
  const g = gradients.output;
  const row = (rows + t) * headDim;
  const own = rowDot(g, output, { a: row, b: row, width: headDim });
  let meanValue = 0;
  for (let s = 0; s <= t; s++) meanValue += weights[t * context + s]! * numbers.v[s]!;
  const meanKey = new Float64Array(headDim), wanted = new Float64Array(headDim);
  // A sink logit acts as one more key, whose key and value vectors are 0.
  const sink = options.sink !== undefined;
  let rowSum = 0, largestBeta = sink ? Math.abs(own) : 0, queryScale = 0;
  for (let s = 0; s <= t; s++) {
    const a = weights[t * context + s]!;
    const keyRow = (keys + s) * headDim;
    const b = rowDot(g, used, { a: row, b: keyRow, width: headDim }) - own;
    beta[t * context + s] = b;
    rowSum += a * b;
    largestBeta = Math.max(largestBeta, Math.abs(b));
    const terms = scale * a * numbers.g[t]! * (numbers.v[s]! + meanValue);
    queryScale += terms * numbers.k[s]!;
    sums.keyScale[s]! += terms * numbers.q[t]!;
    sums.weighted[s]! += a * numbers.g[t]!;
    for (let i = 0; i < headDim; i++) {
      meanKey[i]! += a * key[keyRow + i]!;
      wanted[i]! += scale * a * b * key[keyRow + i]!;
      sums.valueGradient[s * headDim + i]! += a * g[row + i]!;
      sums.keyGradient[s * headDim + i]! += scale * a * b * query[row + i]!;
    }
  }
  let error = 0, farthest = sink ? rowNorm(meanKey, 0, headDim) ** 2 : 0;
  for (let i = 0; i < headDim; i++) error += (gradients.query[row + i]! - wanted[i]!) ** 2;
  for (let s = 0; s <= t; s++) {
    let distance = 0;
    for (let i = 0; i < headDim; i++) {
      distance += (key[(keys + s) * headDim + i]! - meanKey[i]!) ** 2;
    }
    farthest = Math.max(farthest, distance);
  }
  const size = rowNorm(gradients.query, row, headDim);
  const where = () => `${options.where}, position ${t}`;
  const sum = { excess: Math.abs(numbers.sums[t]! - 1), scale: 1 };
  checks.weights.identity({ ...sum, tolerance, where });
  const zero = {
    excess: Math.abs(rowSum - numbers.shares[t]! * own),
    scale: numbers.g[t]! * meanValue,
  };
  checks.rows.identity({ ...zero, tolerance, where });
  const common = { scale: queryScale, tolerance, where };
  checks.query.identity({ ...common, excess: Math.sqrt(error) });
  if (t === 0) {
    // The first query has one weight, a, which is 1 minus the sink's share. Its gradient is
    // a (1 − a) ⟨g_0, v_0⟩ k_0/√D, which is 0 without a sink.
    const a = weights[0]!;
    const slope = scale * a * (1 - a) *
      rowDot(g, used, { a: row, b: keys * headDim, width: headDim });
    let excess = 0;
    for (let i = 0; i < headDim; i++) {
      excess += (gradients.query[row + i]! - slope * key[keys * headDim + i]!) ** 2;
    }
    checks.firstQuery.identity({ ...common, excess: Math.sqrt(excess) });
  }
  checks.queryBound.bound({
    ...common,
    actual: size,
    bound: scale * largestBeta * Math.sqrt(farthest),
    atSink: t === position,
  }, { layer, branch: "attention" });
}

/**
 * Adds the bounds of each column of weights, which belongs to one key. Only the queries from s on
 * see key s. So start from the last key: each step to an earlier key adds one query to the maxima
 * and to the sum of squares.
 */
function addColumns(
  sums: KeySums,
  { numbers, beta, context }: {
    readonly numbers: HeadNumbers;
    readonly beta: Float64Array;
    readonly context: number;
  },
): void {
  const { scale, weights, g, q } = numbers;
  let largestGradient = 0, squares = 0, largestQuery = 0;
  for (let s = context - 1; s >= 0; s--) {
    largestGradient = Math.max(largestGradient, g[s]!);
    largestQuery = Math.max(largestQuery, q[s]!);
    squares += g[s]! ** 2;
    let mass = 0, moment = 0, largestBeta = 0;
    for (let t = s; t < context; t++) {
      const a = weights[t * context + s]!;
      mass += a;
      moment += a * a;
      largestBeta = Math.max(largestBeta, Math.abs(beta[t * context + s]!));
    }
    sums.mass[s]! += mass * largestGradient;
    sums.moment[s]! += Math.sqrt(moment * squares);
    sums.key[s]! += scale * largestQuery * largestBeta * mass;
  }
}
