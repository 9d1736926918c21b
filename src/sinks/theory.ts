/**
 * Checks the theory's identities and bounds on the trace of a real batch, and measures how tight
 * the bounds are.
 */
import type { LlamaConfig } from "../reference/llama/config.ts";
import type { LayerTrace, Trace } from "../reference/llama/trace.ts";
import type { SlackDistribution, TheoryMeasurement } from "./measurement/theory.ts";
import type { Numbers } from "./numbers.ts";
import { attentionChecks, checkAttention } from "./theory/attention.ts";
import type { AttentionChecks } from "./theory/head.ts";
import { layerSinkLogits } from "./sink_logit.ts";
import { checkNorm, normChecks } from "./theory/norm.ts";
import { checkTrace } from "./trace_check.ts";
import { layerValve } from "./valve.ts";

export interface TheoryOptions {
  readonly config: LlamaConfig;
  /**
   * For each layer, γ of the RMSNorms before attention and before the MLP. In a layer without
   * attention, `attention` is not read.
   */
  readonly gains: readonly {
    readonly attention: ArrayLike<number> | undefined;
    readonly mlp: ArrayLike<number>;
  }[];
  /**
   * If V-scale is learned: for each layer, θ of each value head. V-scale's constant is proportional
   * to exp θ.
   */
  readonly theta?: readonly (ArrayLike<number> | undefined)[] | undefined;
  /** If sinks are learned: for each layer, the sink logit of each query head. */
  readonly sinks?: readonly (ArrayLike<number> | undefined)[] | undefined;
  /**
   * A position s. The results list how tight the bounds are over all tokens, and over the tokens at
   * s alone. Default: 0.
   */
  readonly position?: number | undefined;
  /**
   * How many of the batch's sequences to check, from the first on. The time for each grows with T².
   * Default: 4 if a sequence has at most 256 tokens, else fewer, but at least 1.
   */
  readonly sequences?: number | undefined;
}

/** By default, sequences × T² is at most this, except for a single long sequence. */
const WORK = 4 * 256 ** 2;

/** Checks the theory on one batch, layer by layer; see {@linkcode checkTheory}. */
export class TheoryMeter {
  readonly #options: TheoryOptions;
  readonly #batch: number;
  readonly #context: number;
  readonly #position: number;
  readonly #attention: AttentionChecks;
  readonly #norms = normChecks();

  /**
   * @throws {RangeError} if `position` or `sequences` is out of range
   */
  constructor(
    { batch, context }: { readonly batch: number; readonly context: number },
    options: TheoryOptions,
  ) {
    const fewer = Math.max(1, Math.min(4, Math.floor(WORK / context ** 2)));
    const { position = 0, sequences = fewer } = options;
    if (!Number.isSafeInteger(position) || position < 0 || position >= context) {
      throw new RangeError(
        `theory: position is ${position}, wanted an integer from 0 to ${context - 1}`,
      );
    }
    if (!Number.isSafeInteger(sequences) || sequences < 1) {
      throw new RangeError(`theory: sequences is ${sequences}, wanted an integer of at least 1`);
    }
    this.#options = options;
    this.#attention = attentionChecks(options.config);
    this.#batch = Math.min(sequences, batch);
    this.#context = context;
    this.#position = position;
  }

  /**
   * Checks one layer, and adds the comparisons to the results.
   *
   * @param states the layer's states and gradients in the whole batch
   * @throws {TypeError} if gains, θ or sink logits do not fit the model
   */
  addLayer(layer: number, states: LayerTrace<Numbers>): void {
    const { config, gains, theta, sinks } = this.#options;
    const gain = (name: "attention" | "mlp") => {
      const given = gains[layer]?.[name];
      if (given?.length !== config.modelDim) {
        throw new TypeError(
          `theory: layer ${layer}'s ${name} gain has ${given?.length ?? "no"} elements, wanted ` +
            config.modelDim,
        );
      }
      return given;
    };
    const [batch, context, position] = [this.#batch, this.#context, this.#position];
    const common = { epsilon: config.normEpsilon, layer, batch, context, position };
    if (states.attention !== undefined) {
      checkAttention(this.#attention, {
        attention: states.attention,
        shape: { ...config, batch, context },
        layer,
        valve: layerValve(config, theta?.[layer]),
        sinkLogits: layerSinkLogits(config, sinks?.[layer]),
        position,
      });
      checkNorm(this.#norms, {
        ...common,
        branch: "attention",
        gain: gain("attention"),
        states: {
          input: states.input,
          inputGradient: states.gradients.input,
          normGradient: states.attention.gradients.norm,
          outputGradient: states.gradients.half,
        },
      });
    }
    checkNorm(this.#norms, {
      ...common,
      branch: "mlp",
      gain: gain("mlp"),
      states: {
        input: states.half,
        inputGradient: states.gradients.half,
        normGradient: states.gradients.mlpNorm,
        outputGradient: states.gradients.output,
      },
    });
  }

  /** The results of all layers so far. */
  result(): TheoryMeasurement {
    const checks = [...Object.values(this.#attention), ...Object.values(this.#norms)]
      .flatMap((check) => check.result() ?? []);
    const errors = checks.filter(({ violations }) => violations > 0).map((check) =>
      `${check.name} (${check.formula}): ${check.violations} of ${check.compared} comparisons are ` +
      `beyond rounding, the worst by ${check.worst.toExponential(2)} where ` +
      `${check.tolerance.toExponential(2)} is allowed, at ${check.where}`
    );
    return { checks, errors };
  }
}

/**
 * Checks A1 to A7, N1, N2 and N4 of src/reference/theory.md on a trace. In a model with sink
 * logits, rows of weights obey S1. S3 then replaces A4, S4 replaces the zero of A3, and S6 replaces
 * A7. In a model with gates, the gradients at the gates are checked too.
 *
 * A violation is a difference that rounding cannot explain (see theory/attention.ts and
 * theory/norm.ts). In exact arithmetic there are none.
 *
 * @param trace of one batch, on the CPU
 * @returns each check's result, and a line for each violated check
 * @throws {TypeError} if the trace, the gains, θ or the sink logits do not fit the model
 * @throws {RangeError} if the trace holds a NaN or an infinity, or `position` or `sequences` is out
 *   of range
 */
export function checkTheory(trace: Trace<Numbers>, options: TheoryOptions): TheoryMeasurement {
  checkTrace(trace, options.config);
  const meter = new TheoryMeter(trace, options);
  trace.layers.forEach((states, layer) => meter.addLayer(layer, states));
  return meter.result();
}

/** How tight one bound is in one layer and branch, for a picture. */
export interface SlackRow extends SlackDistribution {
  readonly name: string;
  readonly formula: string;
}

/** Lists how tight each bound is in each layer and branch. */
export function slackRows({ checks }: TheoryMeasurement): SlackRow[] {
  return checks.flatMap(({ name, formula, slack }) =>
    slack.map((distribution) => ({ name, formula, ...distribution }))
  );
}
