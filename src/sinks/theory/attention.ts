/**
 * Identities A1 to A4 and bounds A5 to A7 (src/reference/theory.md) on a traced layer. Here g =
 * ∂L/∂y, D_t = ⟨g_t, y_t⟩ and β_ts = ⟨g_t, v_s⟩ − D_t belong to one query head. Gradients of keys
 * and values are summed over the query heads that share a key head. With full V-scale, v̂ replaces
 * v. With full or backward-only V-scale, J_φ(v) maps the gradient of v̂ to that of v. With a sink
 * logit, whose share of the weight is b_t, a row of weights sums to 1 − b_t (S1). S3 then replaces
 * A4, S4 replaces the zero of A3, and S6 replaces A7. With gates, y is a head's output before its
 * gates, which `gate.ts` checks.
 *
 * Rounding: the checks recompute the weights in float64 from the traced q and k. The model's own
 * weights differ from these because the model rounds three things. The logit is off by at most
 * (D/4 + 6) u |z|, once in z and once in logSumExp. exp and log are rounded too, and so are the
 * sums over T. Here u is the unit roundoff of the traced numbers, 2^-24 or 2^-53. Together these
 * errors are at most ρ = u ((D/2 + 32) Z + T + 50), where Z is the largest of a head's
 * ‖q_t‖ ‖k_s‖/√D and |sink logit|. Sums over T tokens and products of D elements add (T + D + 50) u
 * times the magnitude of their terms. An identity's difference is measured in units of this
 * magnitude. (Higham, Accuracy and Stability, section 4.2; WGSL's own accuracy of exp and log.) In
 * addition, weights and products below the smallest normal number may be flushed to 0.
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771.
 */
import { lambdaParallel } from "../../reference/jacobians.ts";
import { tensor } from "../../reference/tensor.ts";
import { vScaleBackward, vScaleForward } from "../../reference/v_scale.ts";
import { rowDistance, rowNorm } from "../numbers.ts";
import { hasSinkLogit, type LlamaConfig } from "../../reference/llama/config.ts";
import { checkGates } from "./gate.ts";
import { CheckMeter } from "./slack.ts";
import { addHead, type AttentionChecks, type AttentionLayer, KeySums } from "./head.ts";

/** Creates empty meters for all layers. */
export function attentionChecks(config: Pick<LlamaConfig, "sinkLogit">): AttentionChecks {
  const sink = hasSinkLogit(config);
  const identity = (name: string, formula: string) =>
    new CheckMeter({ name, formula, kind: "identity" });
  const bound = (name: string, formula: string) => new CheckMeter({ name, formula, kind: "bound" });
  return {
    weights: identity("weights", `Σ_j exp(z_tj − logSumExp_t) = 1${sink ? " − b_t" : ""}`),
    value: identity("value path", "∇v_s = Σ_t a_ts g_t, through J_φ(v_s) under V-scale"),
    key: identity("key path", "∇k_s = Σ_t a_ts β_ts q_t/√D"),
    query: identity("query path", "∇q_t = Σ_s a_ts β_ts k_s/√D"),
    firstQuery: identity(
      "first query",
      sink ? "∇q_0 = a_00 (1 − a_00) ⟨g_0, v_0⟩ k_0/√D" : "∇q_0 = 0",
    ),
    rows: identity("logit rows", `Σ_s ∂L/∂z_ts = ${sink ? "b_t D_t" : "0"}`),
    gate: identity("gate", "∇y_t = σ(x_t) ⊙ ∇y′_t"),
    weightedBound: bound("weighted value bound", "‖∇v_s‖ ≤ λ∥ Σ_t a_ts ‖g_t‖"),
    massBound: bound("mass bound", "‖∇v_s‖ ≤ λ∥ M_s max_t ‖g_t‖"),
    momentBound: bound("second-moment bound", "‖∇v_s‖ ≤ λ∥ √S_s (Σ_t ‖g_t‖²)^½"),
    keyBound: bound("key bound", "‖∇k_s‖ ≤ Q_max B_max M_s/√D"),
    queryBound: bound(
      "query bound",
      `‖∇q_t‖ ≤ B_max ΔK_max/√D${sink ? ", the sink being a key 0" : ""}`,
    ),
  };
}

/** Checks one layer of a trace. */
export function checkAttention(checks: AttentionChecks, options: AttentionLayer): void {
  const { attention, shape, layer, valve, sinkLogits } = options;
  checkGates(checks.gate, options);
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
    const sums = new KeySums(shape);
    for (let member = 0; member < group; member++) {
      const head = index * group + member;
      addHead(checks, sums, {
        ...options,
        rows: (b * queryHeads + head) * context,
        keys: keyHead * context,
        used,
        sink: sinkLogits?.[head],
        where: `layer ${layer}, sequence ${b}, query head ${head}`,
      });
    }
    compareKeyHead(checks, sums, { ...options, keyHead });
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
    // Allow for the largest error that flushing to 0 can cause. The meter allows scale × tolerance,
    // so divide that error by the tolerance before adding it to the scale.
    const scale = gain * sums.weighted[s]! + Math.max(1, gain) * sums.valueFlush / tolerance;
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
    const keyScale = sums.keyScale[s]! + sums.keyFlush / tolerance;
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
