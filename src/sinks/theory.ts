/** The theory in the loop: identities and bounds on the trace of a real batch, with what is left of them as numbers. */
import type { LlamaConfig } from "../model/config.ts";
import type { Trace } from "../model/trace.ts";
import type { SlackDistribution, TheoryMeasurement } from "./measurement.ts";
import type { Numbers } from "./numbers.ts";
import { attentionChecks, checkAttention } from "./theory_attention.ts";
import { checkNorm, normChecks } from "./theory_norm.ts";
import { checkTrace } from "./trace_check.ts";
import { layerValve } from "./valve.ts";

/** What the theory needs to know of a model beside its trace. */
export interface TheoryOptions {
  readonly config: LlamaConfig;
  /** γ of both RMSNorms of each layer; the first is not looked at in a layer without attention. */
  readonly gains: readonly {
    readonly attention: ArrayLike<number> | undefined;
    readonly mlp: ArrayLike<number>;
  }[];
  /** θ of each value head of each layer; only where V-scale is learned. */
  readonly theta?: readonly (ArrayLike<number> | undefined)[] | undefined;
  /** s, whose slack is shown by itself. Default 0. */
  readonly position?: number;
  /** How many sequences of the batch are looked at, the first ones. Default 4; work grows with T². */
  readonly sequences?: number;
}

/**
 * Checks every identity and bound of spec sections 3 and 4 on a trace.
 *
 * A violation is a difference beyond what rounding explains (see theory_attention.ts and theory_norm.ts); the
 * exact formulas leave none.
 *
 * @param trace of one batch, on the CPU
 * @param options the model's configuration, gains and θ
 * @returns what was found, check by check, and a line for each check that is violated
 * @throws {TypeError} if the trace or the gains do not fit the model
 * @throws {RangeError} if the trace holds a NaN or an infinity, or `position` or `sequences` is out of range
 */
export function checkTheory(trace: Trace<Numbers>, options: TheoryOptions): TheoryMeasurement {
  const { config, gains, theta, position = 0, sequences = 4 } = options;
  const { context } = trace;
  checkTrace(trace, config);
  if (!Number.isSafeInteger(position) || position < 0 || position >= context) {
    throw new RangeError(
      `theory: position is ${position}, wanted an integer from 0 to ${context - 1}`,
    );
  }
  if (!Number.isSafeInteger(sequences) || sequences < 1) {
    throw new RangeError(`theory: sequences is ${sequences}, wanted an integer of at least 1`);
  }
  const batch = Math.min(sequences, trace.batch);
  const attention = attentionChecks(), norms = normChecks();
  trace.layers.forEach((states, layer) => {
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
    const common = { epsilon: config.normEpsilon, layer, batch, context, position };
    if (states.attention !== undefined) {
      checkAttention(attention, {
        attention: states.attention,
        shape: { ...config, batch, context },
        layer,
        valve: layerValve(config, theta?.[layer]),
        position,
      });
      checkNorm(norms, {
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
    checkNorm(norms, {
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
  });
  const checks = [...Object.values(attention), ...Object.values(norms)]
    .flatMap((check) => check.result() ?? []);
  const errors = checks.filter(({ violations }) => violations > 0).map((check) =>
    `${check.name} (${check.formula}): ${check.violations} of ${check.compared} comparisons are ` +
    `beyond rounding, the worst by ${check.worst.toExponential(2)} where ` +
    `${check.tolerance.toExponential(2)} is allowed, at ${check.where}`
  );
  return { checks, errors };
}

/** One bound's slack in one layer and branch, for a picture. */
export interface SlackRow extends SlackDistribution {
  readonly name: string;
  readonly formula: string;
}

/**
 * All slack distributions of all bounds.
 *
 * @param theory as {@linkcode checkTheory} returned it
 */
export function slackRows({ checks }: TheoryMeasurement): SlackRow[] {
  return checks.flatMap(({ name, formula, slack }) =>
    slack.map((distribution) => ({ name, formula, ...distribution }))
  );
}
