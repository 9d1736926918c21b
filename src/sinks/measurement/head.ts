/**
 * The measurements of one head of attention. `../measurement.ts` says the units and reductions. An
 * idle query has no reason to attend to any particular token. Only idle queries after position s
 * count here.
 */
import type { SinkComparison } from "./comparison.ts";

/**
 * How far the gates of one query head's output are open, from 0 (closed) to 1 (open). The opening
 * at a token is the mean over the head's gates.
 */
export interface GateMeasurement {
  /** The mean over all tokens. */
  readonly mean: number;
  /** The mean over idle queries from `idleFrom` on; null if the task has none. */
  readonly idleMean: number | null;
  /** The opening at position s, compared with early tokens. */
  readonly opening: SinkComparison;
}

/**
 * The share of one query head's attention that its sink logit takes: b_t = exp(s − logSumExp_t) for
 * query t. Here s is the logit, not the position.
 */
export interface SinkLogitMeasurement {
  /** s, the logit. */
  readonly logit: number;
  /**
   * Mean of b_t over the window's queries and over sequences. It can be compared with α_s, the
   * `score` of the head at position s.
   */
  readonly score: number;
  /** Mean of b_t over idle queries from `idleFrom` on; null if the task has none. */
  readonly idleScore: number | null;
}

/** One query head. */
export interface HeadMeasurement {
  readonly head: number;
  /**
   * The sink score α_s: the mean of a_ts, the attention that query t pays to position s, over
   * sequences and over the window's queries, t = s … s + T_ε − 1.
   */
  readonly score: number;
  /**
   * The share of sequences whose own α_s counts as a sink, as in Gu et al. Older files lack this
   * field, and it cannot be computed from their other fields.
   */
  readonly sinkRate?: number;
  /**
   * Among the sequences with idle queries, the share whose own idle score counts as a sink. null if
   * no sequence has idle queries.
   */
  readonly idleSinkRate?: number | null;
  /**
   * The idle score: the mean of a_ts over idle queries from `idleFrom` on; null if the task has
   * none.
   */
  readonly idleScore: number | null;
  /** The column mass M_s = Σ_{t≥s} a_ts, between 0 and T − s. */
  readonly mass: number;
  /** The column's second moment S_s = Σ_{t≥s} a_ts² */
  readonly secondMoment: number;
  /** Only if the head has a sink logit. */
  readonly sinkLogit?: SinkLogitMeasurement;
  /** Only if attention is gated. */
  readonly gate?: GateMeasurement;
}

/** One value head. */
export interface ValueHeadMeasurement {
  readonly head: number;
  /** ‖v_s‖ compared with early tokens, before V-scale: a ratio far below 1 is value-state drain. */
  readonly value: SinkComparison;
  /**
   * ‖v̂_s‖, the norm of the value that attention adds up, compared with early tokens. It equals
   * `value` without V-scale and with backward-only V-scale.
   */
  readonly usedValue: SinkComparison;
  /**
   * V-scale's learned θ = ln λ, where λ multiplies V-scale's constant. θ is 0 for "fixed" and
   * "backward-only" V-scale, and null without V-scale.
   */
  readonly theta: number | null;
  /**
   * V-scale's constant C = d D σ² exp θ, where σ is the standard deviation of initial weights; null
   * without V-scale.
   */
  readonly constant: number | null;
}
