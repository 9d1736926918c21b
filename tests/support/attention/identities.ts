/**
 * The exact identities of the gradient-sink theory for attention's gradients. Each function takes
 * the inputs, outputs and gradients of the float64 twin or of a GPU, and returns the violation,
 * which ../violation.ts defines. gradient_bounds.ts has the bounds of attention's gradients,
 * ../rows/identities.ts the theory of RMSNorm and V-scale.
 *
 * Labels such as A1 are those of src/reference/theory.md, which cites arXiv 2603.17771. g = ∂L/∂y,
 * β_ts = ⟨g_t, v_s − y_t⟩, M_s = Σ_t a_ts, S_s = Σ_t a_ts². Where query heads share a key head,
 * sums run over the group. With V-scale in mode "full", v̂ = φ(v) stands for v in the formulas. In
 * either mode J_φ(v) maps the gradient of v̂ to that of v, and λ∥ is its eigenvalue along v, 1
 * without V-scale. `scale` is the factor of the logits.
 */
import {
  aggregatedGradient,
  type AttentionNumbers,
  layerOf,
  rowOf,
  TINY,
  valveAt,
} from "./layer.ts";
import { throughValve } from "../rows/identities.ts";
import { distance, inner, norm } from "../vectors.ts";
import { type Violation, Worst } from "../violation.ts";

/**
 * Identities A1 and V1 of value gradients: ∇_{v_s}L = Σ_{t≥s} a_ts g_t, and V-scale multiplies this
 * sum by J_φ(v_s). The violation is relative to λ∥ Σ_t a_ts ‖g_t‖.
 */
export function valuePath(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  layer.eachKey((keyHead, s, where) => {
    const { gradient, scale } = aggregatedGradient(layer, { keyHead, s });
    const valve = valveAt(numbers, { keyHead, s });
    const wanted = valve === undefined ? gradient : throughValve(gradient, valve);
    const actual = rowOf(numbers.valueGradient, keyHead * layer.length + s);
    worst.see(distance(actual, wanted), scale * (valve?.gain ?? 1), where);
  });
  return worst.result();
}

/**
 * Identity A2 of key gradients: ∇_{k_s}L = scale Σ_{t≥s} a_ts β_ts q_t. The violation is relative
 * to |scale| Σ_t a_ts ‖g_t‖ (‖v_s‖ + Σ_j a_tj ‖v_j‖) ‖q_t‖.
 */
export function keyPath(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  layer.eachKey((keyHead, s, where) => {
    const wanted = new Float64Array(layer.headDim);
    let scale = 0;
    for (const head of layer.readers(keyHead)) {
      for (let t = s; t < layer.length; t++) {
        const q = layer.row(layer.numbers.query, head, t);
        const a = layer.weight(head, t, s);
        const factor = layer.scale * a * layer.beta(head, t, s);
        for (let i = 0; i < q.length; i++) wanted[i]! += factor * q[i]!;
        scale += Math.abs(layer.scale) * (a + TINY) * layer.betaScale(head, t, s) * norm(q);
      }
    }
    worst.see(
      distance(rowOf(numbers.keyGradient, keyHead * layer.length + s), wanted),
      scale,
      where,
    );
  });
  return worst.result();
}

/**
 * Identity A3 of query gradients: ∇_{q_s}L = scale Σ_{j≤s} a_sj β_sj k_j. The violation is relative
 * to |scale| Σ_j a_sj ‖g_s‖ (‖v_j‖ + Σ_i a_si ‖v_i‖) ‖k_j‖.
 */
export function queryPath(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  layer.eachQuery((head, s, where) => {
    const wanted = new Float64Array(layer.headDim);
    let scale = 0;
    for (let j = 0; j <= s; j++) {
      const k = layer.row(layer.numbers.key, layer.keyHead(head), j);
      const a = layer.weight(head, s, j);
      const factor = layer.scale * a * layer.beta(head, s, j);
      for (let i = 0; i < k.length; i++) wanted[i]! += factor * k[i]!;
      scale += Math.abs(layer.scale) * (a + TINY) * layer.betaScale(head, s, j) * norm(k);
    }
    worst.see(
      distance(rowOf(numbers.queryGradient, head * layer.length + s), wanted),
      scale,
      where,
    );
  });
  return worst.result();
}

/**
 * Identity A3 at the first query: ∇_{q_0}L = 0, because a_00 = 1 and y_0 = v_0. The violation is
 * relative to |scale| ‖g_0‖ ‖v_0‖ ‖k_0‖.
 */
export function firstQueryGradient(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  for (let head = 0; head < layer.batch * layer.queryHeads; head++) {
    const key = norm(layer.row(layer.numbers.key, layer.keyHead(head), 0));
    const value = norm(layer.row(layer.used, layer.keyHead(head), 0));
    const g = norm(layer.row(layer.numbers.g, head, 0));
    worst.see(
      norm(rowOf(numbers.queryGradient, head * layer.length)),
      Math.abs(layer.scale) * g * value * key,
      `query head ${head}, position 0`,
    );
  }
  return worst.result();
}

/**
 * Identity A4: the logit gradients of a row sum to zero, Σ_{j≤s} ∂L/∂z_sj = Σ_j a_sj β_sj = 0. β
 * uses the computed output, so a wrong output violates the identity. The violation is relative to
 * ‖g_s‖ Σ_j a_sj ‖v_j‖.
 */
export function logitRowsSumToZero(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  layer.eachQuery((head, s, where) => {
    let sum = 0;
    let scale = 0;
    for (let j = 0; j <= s; j++) {
      sum += layer.weight(head, s, j) * layer.beta(head, s, j);
      scale += layer.weight(head, s, j) * norm(layer.row(layer.used, layer.keyHead(head), j));
    }
    worst.see(Math.abs(sum), norm(layer.row(layer.numbers.g, head, s)) * scale, where);
  });
  return worst.result();
}

/**
 * Identity A4 in key gradients: Σ_s ∇_{k_s}L = scale Σ_t (Σ_s ∂L/∂z_ts) q_t = 0 for every key head.
 * The violation is relative to Σ_t |scale| ‖q_t‖ ‖g_t‖ 2 Σ_j a_tj ‖v_j‖.
 */
export function keyGradientsSumToZero(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  for (let keyHead = 0; keyHead < layer.batch * layer.keyHeads; keyHead++) {
    const sum = new Float64Array(layer.headDim);
    let scale = 0;
    for (let s = 0; s < layer.length; s++) {
      rowOf(numbers.keyGradient, keyHead * layer.length + s).forEach((x, i) => sum[i]! += x);
    }
    for (const head of layer.readers(keyHead)) {
      for (let t = 0; t < layer.length; t++) {
        const q = norm(layer.row(layer.numbers.query, head, t));
        for (let j = 0; j <= t; j++) {
          const a = layer.weight(head, t, j);
          scale += Math.abs(layer.scale) * q * a * layer.betaScale(head, t, j);
        }
      }
    }
    worst.see(norm(sum), scale, `key head ${keyHead}`);
  }
  return worst.result();
}

/**
 * Query and key gradients agree: Σ_t ⟨q_t, ∇_{q_t}L⟩ = Σ_s ⟨k_s, ∇_{k_s}L⟩ over a group, because
 * both sides are ∂L/∂ log scale. The violation is relative to Σ_t Σ_j |scale| a_tj ‖q_t‖ ‖k_j‖
 * ‖g_t‖ (‖v_j‖ + Σ_i a_ti ‖v_i‖).
 */
export function queryAndKeyAgree(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  for (let keyHead = 0; keyHead < layer.batch * layer.keyHeads; keyHead++) {
    let difference = 0;
    let scale = 0;
    for (let s = 0; s < layer.length; s++) {
      const k = layer.row(layer.numbers.key, keyHead, s);
      difference -= inner(k, rowOf(numbers.keyGradient, keyHead * layer.length + s));
      for (const head of layer.readers(keyHead)) {
        const q = layer.row(layer.numbers.query, head, s);
        difference += inner(q, rowOf(numbers.queryGradient, head * layer.length + s));
        for (let j = 0; j <= s; j++) {
          const size = norm(q) * norm(layer.row(layer.numbers.key, keyHead, j));
          const a = layer.weight(head, s, j);
          scale += Math.abs(layer.scale) * a * size * layer.betaScale(head, s, j);
        }
      }
    }
    worst.see(Math.abs(difference), scale, `key head ${keyHead}`);
  }
  return worst.result();
}

/**
 * Identity V3 of the gradient of V-scale's constant, for every value head: ∂L/∂C = −Σ_s r_s/(r_s +
 * C)² ⟨v_s, Σ_t a_ts g_t⟩, where Σ_s also runs over the batch. The violation is relative to Σ_s
 * r_s/(r_s + C)² ‖v_s‖ Σ_t a_ts ‖g_t‖. Without V-scale, nothing is compared.
 */
export function constantPath(numbers: AttentionNumbers): Violation {
  const layer = layerOf(numbers);
  const worst = new Worst();
  const wanted = new Float64Array(layer.keyHeads), scales = new Float64Array(layer.keyHeads);
  layer.eachKey((keyHead, s) => {
    const valve = valveAt(numbers, { keyHead, s });
    if (valve === undefined) return;
    const { gradient, scale } = aggregatedGradient(layer, { keyHead, s });
    const r = inner(valve.value, valve.value);
    const factor = r / (r + valve.constant) ** 2;
    wanted[keyHead % layer.keyHeads]! -= factor * inner(valve.value, gradient);
    scales[keyHead % layer.keyHeads]! += factor * Math.sqrt(r) * scale;
  });
  if (numbers.vScale !== undefined) {
    wanted.forEach((want, head) => {
      const actual = numbers.constantGradient?.data[head] ?? NaN;
      worst.see(Math.abs(actual - want), scales[head]!, `value head ${head}`);
    });
  }
  return worst.result();
}

/** The function of each identity that holds with and without V-scale, by the identity's label. */
export const identitiesByName: Readonly<Record<string, (numbers: AttentionNumbers) => Violation>> =
  {
    "A1 value path": valuePath,
    "A2 key path": keyPath,
    "A3 query path": queryPath,
    "A3 first query": firstQueryGradient,
    "A4 logit rows": logitRowsSumToZero,
    "A4 key gradients": keyGradientsSumToZero,
    "A2 and A3 agree": queryAndKeyAgree,
  };
