/**
 * The links of the chain from attention sink to massive activation, and its outcomes. Each link and
 * each outcome is one figure of a run.
 */
import type { StudyVariant } from "../arms.ts";
import {
  atSink,
  bloat,
  type Figure,
  gradientSinkRatio,
  oracleGap,
  quantizationLoss,
  ratio,
  residualNorm,
  residualRatio,
  sinkGradient,
  sinkStrength,
  validationLoss,
  valueNormRatio,
} from "../figures.ts";
import type { TrajectoryPoint } from "../record.ts";

/** One link or outcome of the chain. */
export interface ChainLink {
  /** Lower-case letters, digits and dashes. */
  readonly id: string;
  readonly title: string;
  /** The name in pictures, in a word or two. */
  readonly short: string;
  readonly figure: Figure;
  /** Whether arms are compared by variant ÷ baseline or by variant − baseline. */
  readonly compared: "quotient" | "difference";
  readonly unit: "number" | "nats" | "count";
  /** The direction in which the link weakens. */
  readonly gives: "lower" | "higher";
  /** An outcome is a loss, a rise of the loss or a count of steps: lower is better. */
  readonly kind: "link" | "outcome";
}

/**
 * A hidden state's largest magnitude divided by its median magnitude, in the layer where this ratio
 * is largest.
 */
const massiveRatio: Figure = ({ point }) => {
  const ratios = point.layers.flatMap(({ massive }) => massive ?? []);
  return ratios.length === 0 ? undefined : Math.max(...ratios);
};

/**
 * ‖∇v_0‖ or ‖∇k_0‖ at the sink layer, the norm of the gradient with respect to token 0's value or
 * key, divided by the mean of such norms over early tokens.
 */
const pathRatio = (path: "value" | "key"): Figure => (moment) =>
  ratio(atSink(moment)?.attention?.paths[path]);

/**
 * A run has reached the oracle (see `Task.oracleLoss`) if its validation loss exceeds the oracle's
 * by less than this, in nats per token.
 */
export const AT_ORACLE = 0.01;

/**
 * The first measured step at which the run has reached the oracle; undefined if it never does. As a
 * figure of the whole run, it is defined at the last step only.
 */
const stepsToOracle: Figure = ({ record, point }) => {
  if (point !== record.trajectory.at(-1)) return undefined;
  const arrived = (at: TrajectoryPoint) => {
    const gap = oracleGap({ record, point: at });
    return gap !== undefined && gap < AT_ORACLE;
  };
  return record.trajectory.find(arrived)?.step;
};

function link(id: string, title: string, short: string, figure: Figure): ChainLink {
  const form = { compared: "quotient", unit: "number", gives: "lower", kind: "link" } as const;
  return { id, title, short, figure, ...form };
}

function outcome(id: string, title: string, short: string, figure: Figure): ChainLink {
  const form = { compared: "difference", unit: "nats", gives: "lower", kind: "outcome" } as const;
  return { id, title, short, figure, ...form };
}

const INT8 = "loss increase, static INT8,";
const downProjections = quantizationLoss("down-projections", "static-tensor");
const allLinears = quantizationLoss("all-linears", "static-tensor");

/** All links, in the order of the chain from the sink on, and then all outcomes. */
export const CHAIN_LINKS: readonly ChainLink[] = [
  link("sink", "attention to token 0, sink layer", "attention", sinkStrength),
  {
    ...link("drain", "‖v_0‖ against early tokens", "value norm", valueNormRatio),
    gives: "higher",
  },
  link("gradient-sink", "R_GS(0), median over layers", "R_GS", gradientSinkRatio),
  link("gradient", "‖∇h̃_0‖, sink layer", "gradient", sinkGradient),
  link("value-path", "‖∇v_0‖ against early tokens, sink layer", "value path", pathRatio("value")),
  link("key-path", "‖∇k_0‖ against early tokens, sink layer", "key path", pathRatio("key")),
  link("bloat", "Bloat of token 0, sink layer", "Bloat", bloat),
  link("norm", "‖h_0‖, largest over layers", "‖h_0‖", residualNorm),
  link("norm-ratio", "‖h_0‖ against early tokens, largest", "‖h_0‖ ÷ early", residualRatio),
  link("massive", "largest ÷ median activation, largest over layers", "massive", massiveRatio),
  outcome("int8-down", `${INT8} down projections`, "INT8 down", downProjections),
  outcome("int8-all", `${INT8} all linears`, "INT8 all", allLinears),
  outcome("loss", "validation loss, nats per token", "loss", validationLoss),
  {
    ...outcome(
      "steps",
      `first measured step within ${AT_ORACLE} nats of the oracle`,
      "steps",
      stepsToOracle,
    ),
    unit: "count",
  },
];

export type Expectation = "gives way" | "holds" | undefined;

/**
 * What the papers expect of a link under an intervention; undefined if they say nothing. V-scale
 * keeps the sink and shrinks ‖∇v_0‖, the gradient of the sink's value (Chen, Lin, Yao, arXiv
 * 2603.17771). Sink logits and gates remove the sink and so all later links (Kaul et al., arXiv
 * 2410.17174; Qiu et al., NeurIPS 2025).
 */
export function expectation(variant: StudyVariant, { id, kind }: ChainLink): Expectation {
  if (variant === "none") return undefined;
  if (id === "int8-down" || id === "int8-all") return "gives way";
  if (kind === "outcome" || id === "key-path") return undefined;
  const valve = variant === "fixed" || variant === "learned" || variant === "backward-only";
  if (valve && id === "sink") return "holds";
  // "drain" is the smallness of the sink's value vector, which V-scale need not change.
  if (valve && id === "drain") return undefined;
  return "gives way";
}
