/**
 * What is measured of a pretrained model beyond ../measurement.ts: its hidden states, the sink rate
 * of every position, the effect of massive activations on the loss, and 95 % intervals over texts.
 * The units are the same as there.
 */
import type { Interval } from "../../statistics/resampling.ts";
import type { StateMeasurement, StatesMeasurement } from "../states/measurement.ts";

/** The measurements of one layer's output h_out, and the interval of the layer's R_GS. */
export interface PretrainedLayer extends StateMeasurement {
  readonly sinkRates: readonly number[];
  /**
   * The 95 % interval of the value that R_GS(s) would have with many texts; null for fewer than 8
   * texts, or if a gradient vanishes.
   */
  readonly gradientSinkInterval: Interval | null;
}

/** The loss if elements of hidden states are replaced right after one layer. */
export interface Intervention {
  /**
   * Which elements are replaced. `massive`: all elements of the layer's output that are massive in
   * their text. `ordinary`, for comparison: in each of the same tokens, equally many elements,
   * namely those whose magnitudes are nearest in rank to the token's median.
   */
  readonly values: "massive" | "ordinary";
  /**
   * What replaces an element: 0, or a mean over the massive elements of all texts in the same
   * dimension. One mean is for the first token, another for all later tokens.
   */
  readonly replaced: "zero" | "mean";
  /** The first layer whose output has massive elements. */
  readonly layer: number;
  /** The dimensions of the massive elements, in increasing order. */
  readonly dimensions: readonly number[];
  readonly positions: readonly number[];
  /**
   * The number of replaced elements in all texts. `texts` counts the texts with such elements.
   */
  readonly elements: number;
  readonly texts: number;
  /** The loss with these replacements on the measured texts, in nats per token. */
  readonly loss: number;
  /** `loss` minus the unchanged model's loss. */
  readonly difference: number;
  /** The difference's 95 % interval over texts; null for fewer than 8 texts. */
  readonly interval: Interval | null;
}

/** The further measurements of a pretrained model. */
export interface PretrainedMeasurement extends StatesMeasurement {
  readonly model: {
    readonly name: string;
    readonly family: string;
    readonly parameters: number;
    /** The types that the weights are stored in. */
    readonly storedAs: readonly string[];
    /** Notes for the reader on the weights, the tokenizer and the texts. */
    readonly notes: readonly string[];
  };
  readonly texts: {
    /** The values of `deno task sinks`' options --bos and --documents. */
    readonly begin: string;
    readonly documents: string;
    /** The first tokens of the first text, spelled out. */
    readonly firstTokens: readonly string[];
    readonly firstTokenNumbers: readonly number[];
  };
  readonly layers: readonly PretrainedLayer[];
  /** 95 % intervals over texts; null for fewer than 8 texts. */
  readonly intervals: {
    readonly loss: Interval | null;
    /** The interval of the sink rate at position s. */
    readonly sinkRate: Interval | null;
    /** The interval of the value that many texts would give for R_GS(s)'s median over layers. */
    readonly gradientSink: Interval | null;
  };
  /** Every text's share of (layer, query head) pairs whose α_s counts as a sink. */
  readonly sinkRates: readonly number[];
  /** Every text's loss, in nats per token. */
  readonly losses: readonly number[];
  /** null if not requested; empty if the model has no massive activation. */
  readonly interventions: readonly Intervention[] | null;
}
