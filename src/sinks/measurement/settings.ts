/** The settings of the measurements of sinks. */

/** The positions and thresholds of the measurements. */
export interface SinkSettings {
  /** s, the position that is measured as a sink. */
  readonly position: number;
  /**
   * T_ε: the score averages over the queries t = s … s + T_ε − 1, or fewer at the sequence's end.
   */
  readonly window: number;
  /** ε: a score above it counts as a sink, if it also exceeds the score of uniform attention. */
  readonly threshold: number;
  /** T_e: R_GS compares s with the other positions up to this one, or up to the sequence's end. */
  readonly lastGradientPosition: number;
  /**
   * The first position whose query can count as idle. An idle query has no reason to attend to any
   * particular token.
   */
  readonly idleFrom: number;
  /** The first and last of the early tokens, which are compared with s; s itself is left out. */
  readonly early: readonly [number, number];
}

/** The paper's settings; `idleFrom` is this project's. */
export const DEFAULT_SINK_SETTINGS: SinkSettings = {
  position: 0,
  window: 64,
  threshold: 0.3,
  lastGradientPosition: 31,
  idleFrom: 8,
  early: [1, 15],
};
