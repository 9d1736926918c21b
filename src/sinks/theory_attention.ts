/**
 * The exact identities and the bounds of attention's gradients (spec section 3) on a traced layer. With
 * g = ∂L/∂y, D_t = ⟨g_t, y_t⟩, β_ts = ⟨g_t, v_s⟩ − D_t, everything per query head, summed over the query heads that
 * share a key head; with V-scale in its full form v̂ stands for v, and J_φ(v) takes the gradient of v̂ to that of v
 * in either form.
 *
 * What rounding explains. Weights are computed anew in float64 from the traced q and k; the model's own differ by
 * the rounding of a logit, (D/4 + 6) u |z| at the most, twice (in z and in logSumExp), by exp and log, and by the
 * sums over T: together ρ = u ((D/2 + 32) Z + T + 50), Z being the largest |scale| ‖q_t‖ ‖k_s‖ of a head and u the
 * rounding of the numbers traced, 2^-24 or 2^-53. Sums over T tokens and products of D elements add T + D + 50 times
 * u of the magnitudes that are added up, which is what an identity's difference is measured in. (Higham, Accuracy
 * and Stability, section 4.2; WGSL's own accuracy of exp and log.)
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771.
 */
import type { AttentionTrace } from "../model/trace.ts";
import { lambdaParallel } from "../reference/jacobians.ts";
import { tensor } from "../reference/tensor.ts";
import { vScaleBackward, vScaleForward } from "../reference/v_scale.ts";
import type { AttentionShape } from "./attention_column.ts";
import { type Numbers, rowDistance, rowDot, rowNorm } from "./numbers.ts";
import { CheckMeter } from "./slack.ts";
import type { LayerValve } from "./valve.ts";

/** The checks of attention. */
export type AttentionChecks = Readonly<
  Record<
    | "weights"
    | "value"
    | "key"
    | "query"
    | "firstQuery"
    | "rows"
    | "weightedBound"
    | "massBound"
    | "momentBound"
    | "keyBound"
    | "queryBound",
    CheckMeter
  >
>;

/** Empty meters for all layers. */
export function attentionChecks(): AttentionChecks {
  const identity = (name: string, formula: string) =>
    new CheckMeter({ name, formula, kind: "identity" });
  const bound = (name: string, formula: string) => new CheckMeter({ name, formula, kind: "bound" });
  return {
    weights: identity("weights", "Σ_j exp(z_tj − logSumExp_t) = 1"),
    value: identity("value path", "∇v_s = Σ_t a_ts g_t, through J_φ(v_s) under V-scale"),
    key: identity("key path", "∇k_s = Σ_t a_ts β_ts q_t/√D"),
    query: identity("query path", "∇q_t = Σ_s a_ts β_ts k_s/√D"),
    firstQuery: identity("first query", "∇q_0 = 0"),
    rows: identity("logit rows", "Σ_s ∂L/∂z_ts = 0"),
    weightedBound: bound("weighted value bound", "‖∇v_s‖ ≤ λ∥ Σ_t a_ts ‖g_t‖"),
    massBound: bound("mass bound", "‖∇v_s‖ ≤ λ∥ M_s max_t ‖g_t‖"),
    momentBound: bound("second-moment bound", "‖∇v_s‖ ≤ λ∥ √S_s (Σ_t ‖g_t‖²)^½"),
    keyBound: bound("key bound", "‖∇k_s‖ ≤ Q_max B_max M_s/√D"),
    queryBound: bound("query bound", "‖∇q_t‖ ≤ B_max ΔK_max/√D"),
  };
}

/** A layer to check. */
export interface AttentionLayer {
  readonly attention: AttentionTrace<Numbers>;
  /** The batch here is how many sequences are looked at, the first ones. */
  readonly shape: AttentionShape;
  readonly layer: number;
  readonly valve: LayerValve | undefined;
  /** s */
  readonly position: number;
}

/** Sums by key position of one key head, over the query heads that read it. */
class KeySums {
  /** Σ a_ts g_t */
  readonly valueGradient: Float64Array;
  /** Σ a_ts β_ts q_t/√D */
  readonly keyGradient: Float64Array;
  readonly weighted: Float64Array;
  readonly mass: Float64Array;
  readonly moment: Float64Array;
  readonly key: Float64Array;
  /** Σ a_ts ‖g_t‖ (‖v_s‖ + Σ_j a_tj ‖v_j‖) ‖q_t‖/√D */
  readonly keyScale: Float64Array;
  tolerance = 0;

  constructor(context: number, headDim: number) {
    this.valueGradient = new Float64Array(context * headDim);
    this.keyGradient = new Float64Array(context * headDim);
    this.weighted = new Float64Array(context);
    this.mass = new Float64Array(context);
    this.moment = new Float64Array(context);
    this.key = new Float64Array(context);
    this.keyScale = new Float64Array(context);
  }
}

/** One query head of one sequence: rows begin at `rows`, its key head's at `keys`. */
interface Head {
  readonly rows: number;
  readonly keys: number;
  readonly where: string;
  /** v, or v̂ under V-scale in its full form */
  readonly used: Numbers;
}

/**
 * Checks one layer of a trace.
 *
 * @param checks to add to
 * @param options the layer
 */
export function checkAttention(checks: AttentionChecks, options: AttentionLayer): void {
  const { attention, shape, layer, valve } = options;
  const { batch, queryHeads, keyValueHeads, context, headDim } = shape;
  const group = queryHeads / keyValueHeads;
  const valueShape = [batch, keyValueHeads, context, headDim];
  const values = attention.value.subarray(0, batch * keyValueHeads * context * headDim);
  const constant = valve && tensor(valve.constants, [keyValueHeads]);
  const used = constant === undefined || valve?.mode === "backward-only"
    ? values
    : vScaleForward({ value: tensor(values, valueShape), constant }).scaledValue.data;
  for (let keyHead = 0; keyHead < batch * keyValueHeads; keyHead++) {
    const b = Math.floor(keyHead / keyValueHeads), index = keyHead % keyValueHeads;
    const sums = new KeySums(context, headDim);
    for (let member = 0; member < group; member++) {
      const head = index * group + member;
      addHead(checks, sums, {
        ...options,
        head: {
          rows: (b * queryHeads + head) * context,
          keys: keyHead * context,
          where: `layer ${layer}, sequence ${b}, query head ${head}`,
          used,
        },
      });
    }
    compareKeyHead(checks, sums, { ...options, keyHead });
  }
}

function unitOf(data: Numbers): number {
  return data instanceof Float32Array ? 2 ** -24 : 2 ** -53;
}

/** a_tj for j ≤ t, in float64 by the softmax itself; 0 beyond. [T, T] */
function headWeights(
  { attention, shape }: AttentionLayer,
  { rows, keys }: Head,
): { weights: Float64Array; largest: number; sums: Float64Array } {
  const { context, headDim } = shape;
  const { query, key, logSumExp } = attention;
  const scale = 1 / Math.sqrt(headDim);
  const weights = new Float64Array(context * context);
  const sums = new Float64Array(context);
  let longestQuery = 0, longestKey = 0;
  for (let t = 0; t < context; t++) {
    const row = (rows + t) * headDim;
    longestQuery = Math.max(longestQuery, rowNorm(query, row, headDim));
    longestKey = Math.max(longestKey, rowNorm(key, (keys + t) * headDim, headDim));
    let most = -Infinity, total = 0;
    const logits = weights.subarray(t * context, t * context + t + 1);
    for (let j = 0; j <= t; j++) {
      const at = { a: row, b: (keys + j) * headDim, width: headDim };
      logits[j] = scale * rowDot(query, key, at);
      most = Math.max(most, logits[j]!);
    }
    for (let j = 0; j <= t; j++) {
      sums[t]! += Math.exp(logits[j]! - logSumExp[rows + t]!);
      logits[j] = Math.exp(logits[j]! - most);
      total += logits[j]!;
    }
    for (let j = 0; j <= t; j++) logits[j]! /= total;
  }
  return { weights, largest: scale * longestQuery * longestKey, sums };
}

function addHead(
  checks: AttentionChecks,
  sums: KeySums,
  options: AttentionLayer & { readonly head: Head },
): void {
  const { attention, shape, layer, position, head } = options;
  const { context, headDim } = shape;
  const { rows, keys, used, where } = head;
  const { query, key, output } = attention;
  const { output: g, query: queryGradient } = attention.gradients;
  const scale = 1 / Math.sqrt(headDim);
  const { weights, largest, sums: rowSums } = headWeights(options, head);
  const tolerance = unitOf(query) *
    ((headDim / 2 + 32) * largest + 2 * context + headDim + 100);
  sums.tolerance = Math.max(sums.tolerance, tolerance);
  const norms = (data: Numbers, first: number) =>
    Float64Array.from(
      { length: context },
      (_, t) => rowNorm(data, (first + t) * headDim, headDim),
    );
  const gNorm = norms(g, rows), vNorm = norms(used, keys), kNorm = norms(key, keys);
  const qNorm = norms(query, rows);
  const mass = new Float64Array(context), moment = new Float64Array(context);
  const beta = new Float64Array(context * context);
  const meanKey = new Float64Array(headDim), wanted = new Float64Array(headDim);
  for (let t = 0; t < context; t++) {
    const at = () => `${where}, position ${t}`;
    const row = (rows + t) * headDim;
    const own = rowDot(g, output, { a: row, b: row, width: headDim });
    let meanValue = 0;
    for (let s = 0; s <= t; s++) meanValue += weights[t * context + s]! * vNorm[s]!;
    let rowSum = 0, largestBeta = 0, queryScale = 0;
    meanKey.fill(0);
    wanted.fill(0);
    for (let s = 0; s <= t; s++) {
      const a = weights[t * context + s]!;
      const keyRow = (keys + s) * headDim;
      const b = rowDot(g, used, { a: row, b: keyRow, width: headDim }) - own;
      beta[t * context + s] = b;
      rowSum += a * b;
      largestBeta = Math.max(largestBeta, Math.abs(b));
      const terms = scale * a * gNorm[t]! * (vNorm[s]! + meanValue);
      queryScale += terms * kNorm[s]!;
      sums.keyScale[s]! += terms * qNorm[t]!;
      mass[s]! += a;
      moment[s]! += a * a;
      sums.weighted[s]! += a * gNorm[t]!;
      for (let i = 0; i < headDim; i++) {
        meanKey[i]! += a * key[keyRow + i]!;
        wanted[i]! += scale * a * b * key[keyRow + i]!;
        sums.valueGradient[s * headDim + i]! += a * g[row + i]!;
        sums.keyGradient[s * headDim + i]! += scale * a * b * query[row + i]!;
      }
    }
    checks.weights.identity({
      excess: Math.abs(rowSums[t]! - 1),
      scale: 1,
      tolerance,
      where: at,
    });
    checks.rows.identity({
      excess: Math.abs(rowSum),
      scale: gNorm[t]! * meanValue,
      tolerance,
      where: at,
    });
    let error = 0, farthest = 0;
    for (let i = 0; i < headDim; i++) error += (queryGradient[row + i]! - wanted[i]!) ** 2;
    for (let s = 0; s <= t; s++) {
      let distance = 0;
      for (let i = 0; i < headDim; i++) {
        distance += (key[(keys + s) * headDim + i]! - meanKey[i]!) ** 2;
      }
      farthest = Math.max(farthest, distance);
    }
    const size = rowNorm(queryGradient, row, headDim);
    checks.query.identity({ excess: Math.sqrt(error), scale: queryScale, tolerance, where: at });
    if (t === 0) {
      checks.firstQuery.identity({ excess: size, scale: queryScale, tolerance, where: at });
    }
    checks.queryBound.bound({
      actual: size,
      bound: scale * largestBeta * Math.sqrt(farthest),
      scale: queryScale,
      tolerance,
      where: at,
      atSink: t === position,
    }, { layer, branch: "attention" });
  }
  // The maxima that a column's bounds need are over the queries that see it: from the last one backwards.
  let largestGradient = 0, squares = 0, largestQuery = 0;
  for (let s = context - 1; s >= 0; s--) {
    largestGradient = Math.max(largestGradient, gNorm[s]!);
    largestQuery = Math.max(largestQuery, qNorm[s]!);
    squares += gNorm[s]! ** 2;
    let largestBeta = 0;
    for (let t = s; t < context; t++) {
      largestBeta = Math.max(largestBeta, Math.abs(beta[t * context + s]!));
    }
    sums.mass[s]! += mass[s]! * largestGradient;
    sums.moment[s]! += Math.sqrt(moment[s]! * squares);
    sums.key[s]! += scale * largestQuery * largestBeta * mass[s]!;
  }
}

function compareKeyHead(
  checks: AttentionChecks,
  sums: KeySums,
  options: AttentionLayer & { readonly keyHead: number },
): void {
  const { attention, shape, layer, valve, position, keyHead } = options;
  const { keyValueHeads, context, headDim } = shape;
  const { tolerance } = sums;
  const start = keyHead * context * headDim, end = start + context * headDim;
  const value = attention.value.subarray(start, end);
  const constant = valve?.constants[keyHead % keyValueHeads];
  const head = [1, 1, context, headDim];
  const wantedValue = constant === undefined ? sums.valueGradient : vScaleBackward({
    value: tensor(value, head),
    constant: tensor([constant], [1]),
    scaledValueGradient: tensor(sums.valueGradient, head),
  }).valueGradient.data;
  const valueGradient = attention.gradients.value.subarray(start, end);
  const keyGradient = attention.gradients.key.subarray(start, end);
  for (let s = 0; s < context; s++) {
    const where = () =>
      `layer ${layer}, sequence ${Math.floor(keyHead / keyValueHeads)}, value head ${
        keyHead % keyValueHeads
      }, position ${s}`;
    const at = s * headDim;
    const gain = constant === undefined
      ? 1
      : lambdaParallel(rowNorm(value, at, headDim) ** 2, constant);
    const size = rowNorm(valueGradient, at, headDim);
    const scale = gain * sums.weighted[s]!;
    checks.value.identity({
      excess: rowDistance([valueGradient, wantedValue], at, headDim),
      scale,
      tolerance,
      where,
    });
    const place = { layer, branch: "attention" } as const;
    const common = { scale, tolerance, where, atSink: s === position };
    const bounds = [
      [checks.weightedBound, sums.weighted],
      [checks.massBound, sums.mass],
      [checks.momentBound, sums.moment],
    ] as const;
    for (const [check, bound] of bounds) {
      check.bound({ ...common, actual: size, bound: gain * bound[s]! }, place);
    }
    const keyScale = sums.keyScale[s]!;
    checks.key.identity({
      excess: rowDistance([keyGradient, sums.keyGradient], at, headDim),
      scale: keyScale,
      tolerance,
      where,
    });
    checks.keyBound.bound({
      ...common,
      scale: keyScale,
      actual: rowNorm(keyGradient, at, headDim),
      bound: sums.key[s]!,
    }, place);
  }
}
