/**
 * The measurements of a pretrained model beyond {@linkcode SinkMeasurement}: its states, all
 * positions as sinks, and how much the texts matter. Units as in measurement.ts.
 */
import type { Interval } from "../../statistics/resampling.ts";
import type { StateMeasurement, StatesMeasurement } from "../states/measurement.ts";

/** One layer's output h_out, with R_GS beside it. */
export interface PretrainedLayer extends StateMeasurement {
  readonly sinkRates: readonly number[];
  /** The 95 % interval of R_GS(s) as many texts would give it; null if a gradient vanishes. */
  readonly gradientSinkInterval: Interval | null;
}

/** The loss with elements of hidden states replaced, right after one layer. */
export interface Intervention {
  /**
   * `massive`: all elements of the layer's output that are massive in their text. `ordinary`: as
   * many of the same tokens, in the middle of the token's elements by magnitude.
   */
  readonly values: "massive" | "ordinary";
  /**
   * What takes their place: 0, or the mean over texts of the massive elements of the same
   * dimension, those of the first token and of other tokens each for themselves.
   */
  readonly replaced: "zero" | "mean";
  /** The first layer whose output has massive elements. */
  readonly layer: number;
  /** Where the massive elements are, increasing. */
  readonly dimensions: readonly number[];
  readonly positions: readonly number[];
  /** How many elements are replaced in all texts together, and in how many texts. */
  readonly elements: number;
  readonly texts: number;
  /** The loss on the same texts, in nats per token. */
  readonly loss: number;
  /** loss minus the loss as it is. */
  readonly difference: number;
  /** The difference's 95 % interval over texts. */
  readonly interval: Interval;
}

/** Everything that is measured of pretrained models only. */
export interface PretrainedMeasurement extends StatesMeasurement {
  readonly model: {
    readonly name: string;
    readonly family: string;
    readonly parameters: number;
    /** The types that the weights are stored in. */
    readonly storedAs: readonly string[];
    /** What a reader should know of the weights, the tokenizer and the texts. */
    readonly notes: readonly string[];
  };
  readonly texts: {
    /** --bos and --documents as given. */
    readonly begin: string;
    readonly documents: string;
    /** How the first text's first tokens are spelled. */
    readonly firstTokens: readonly string[];
    readonly firstTokenNumbers: readonly number[];
  };
  readonly layers: readonly PretrainedLayer[];
  /** 95 % intervals over texts. */
  readonly intervals: {
    readonly loss: Interval;
    /** The interval of the sink rate at position s. */
    readonly sinkRate: Interval;
    /** The interval of the median of R_GS(s) over layers, as many texts would give it. */
    readonly gradientSink: Interval | null;
  };
  /** Every text's share of (layer, query head) pairs whose α_s exceeds ε. */
  readonly sinkRates: readonly number[];
  /** Every text's loss, in nats per token. */
  readonly losses: readonly number[];
  /** null if not requested; empty if the model has no massive activation. */
  readonly interventions: readonly Intervention[] | null;
}
