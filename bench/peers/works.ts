/**
 * The works: the computations that the libraries are compared on. This file gives the inputs of
 * each work and, in float64, some rows of its right answer. A whole model would take too long in
 * float64, so the libraries' answers on it are compared with each other.
 */
import { attentionForward } from "../../src/reference/attention.ts";
import { rmsNormBackward, rmsNormForward } from "../../src/reference/rms_norm.ts";
import { type ReferenceTensor, tensor } from "../../src/reference/tensor.ts";
import { randomNormal, randomUniform } from "../../src/random.ts";
import {
  attentionForwardRow,
  keyValueGradientRow,
  queryGradientRow,
} from "../../src/measure/workloads/attention/rows.ts";
import { samplePlaces, sampleRows } from "../../src/measure/workloads/samples.ts";

/** Numbers by name, row-major. */
export type Numbers = Readonly<Record<string, Float32Array<ArrayBuffer>>>;

/** A work: one pass of an operator or a model, on one shape, for the libraries to compute. */
export interface Work {
  readonly name: string;
  readonly operator: "attention" | "rms-norm" | "model";
  /**
   * With `forward+backward`, an operator's results are the gradients with respect to its inputs,
   * given the gradient with respect to its output. A model's results are every token's loss and the
   * gradients of the mean loss with respect to the embedded tokens.
   */
  readonly pass: "forward" | "forward+backward";
  /**
   * The lengths by name: `{ H, T, D }` for causal attention with B = 1, `{ rows, d }` for RMSNorm,
   * or `{ T, V, d }` for a model with B = 1.
   */
  readonly dimensions: Readonly<Record<string, number>>;
  /** A model's folder in Hugging Face's layout. */
  readonly folder?: string;
}

/** The right answer, in float64, for a stretch of consecutive numbers of one result. */
export interface WantedNumbers {
  readonly output: string;
  readonly start: number;
  readonly wanted: readonly number[];
  /**
   * If the numbers are sums whose terms may cancel: the magnitude of the terms. `largestError`
   * divides the error by the largest of three numbers, of which this is one (see TOLERANCE).
   */
  readonly magnitude?: number;
}

/** RMSNorm's ε, the same for all libraries. */
export const EPSILON = 1e-5;

/**
 * The largest error that counts as right. `largestError` measures it relative to the largest of
 * three numbers: the row's largest number, `magnitude`, and a hundredth of the largest number in
 * all rows.
 */
export const TOLERANCE = 1e-4;

/** The works of the operators. */
export const works: readonly Work[] = [
  attention("forward", 4, 256),
  attention("forward", 8, 1024),
  attention("forward+backward", 8, 1024),
  rmsNorm("forward"),
  rmsNorm("forward+backward"),
];

function attention(pass: Work["pass"], H: number, T: number): Work {
  const name = `attention-${pass}-h${H}-t${T}`;
  return { name, operator: "attention", pass, dimensions: { H, T, D: 64 } };
}

function rmsNorm(pass: Work["pass"]): Work {
  const dimensions = { rows: 4096, d: 1024 };
  return { name: `rms-norm-${pass}`, operator: "rms-norm", pass, dimensions };
}

/**
 * The inputs, equal for every library. Attention's are `query`, `key`, `value` and
 * `outputGradient`, each `[H, T, D]`. RMSNorm's are `input` and `outputGradient` `[rows, d]`, and
 * `gain` `[d]`. A model's are the tokens `inputs` and `targets` `[T]`.
 */
export function inputsOf({ operator, dimensions }: Work): Numbers {
  const draw = (seed: number, length: number, mean = 0, standardDeviation = 1) =>
    randomNormal({ seed, length, mean, standardDeviation });
  if (operator === "attention") {
    const length = dimensions.H! * dimensions.T! * dimensions.D!;
    const names = ["query", "key", "value", "outputGradient"];
    return Object.fromEntries(names.map((name, i) => [name, draw(100 + i, length)]));
  }
  if (operator === "model") {
    const { T, V } = dimensions as { T: number; V: number };
    const drawn = randomUniform({ seed: 300, length: T + 1 });
    const tokens = drawn.map((share) => Math.min(V - 1, Math.floor(V * share)));
    return { inputs: tokens.slice(0, T), targets: tokens.slice(1) };
  }
  const { rows, d } = dimensions as { rows: number; d: number };
  return {
    input: draw(200, rows * d),
    outputGradient: draw(201, rows * d),
    gain: draw(202, d, 1, 0.2),
  };
}

/**
 * Some rows of an operator's results, in float64: those near the ends and near the edges of tiles,
 * and others drawn at random. For RMSNorm's backward pass, all of gainGradient is included.
 */
export function wantedOf(work: Work): WantedNumbers[] {
  return work.operator === "attention" ? wantedAttention(work) : wantedRows(work);
}

function wantedAttention({ pass, dimensions }: Work): WantedNumbers[] {
  const { H, T, D } = dimensions as { H: number; T: number; D: number };
  const inputs = inputsOf({ operator: "attention", dimensions } as Work);
  const numbers = {
    dimensions: { B: 1, Hq: H, Hkv: H, T, D },
    query: inputs.query!,
    key: inputs.key!,
    value: inputs.value!,
  };
  const places = samplePlaces({ heads: H, length: T }, { seed: 1 });
  const at = (output: string, place: { head: number; position: number }) => ({
    output,
    start: (place.head * T + place.position) * D,
  });
  if (pass === "forward") {
    return places.map((place) => ({
      ...at("output", place),
      wanted: [...attentionForwardRow(numbers, place).output],
    }));
  }
  const shape = [1, H, T, D];
  const forward = attentionForward({
    query: tensor(inputs.query!, shape),
    key: tensor(inputs.key!, shape),
    value: tensor(inputs.value!, shape),
  });
  const backward = {
    ...numbers,
    output: Float32Array.from(forward.output.data),
    logSumExp: Float32Array.from(forward.logSumExp.data),
    outputGradient: inputs.outputGradient!,
  };
  return places.flatMap((place) => {
    const query = queryGradientRow(backward, place);
    const { key, value } = keyValueGradientRow(backward, place);
    return [
      {
        ...at("queryGradient", place),
        wanted: [...query.gradient],
        magnitude: query.magnitude,
      },
      { ...at("keyGradient", place), wanted: [...key.gradient], magnitude: key.magnitude },
      { ...at("valueGradient", place), wanted: [...value] },
    ];
  });
}

function wantedRows(work: Work): WantedNumbers[] {
  const { rows, d } = work.dimensions as { rows: number; d: number };
  const inputs = inputsOf(work);
  const input = tensor(inputs.input!, [rows, d]);
  const gain = tensor(inputs.gain!, [d]);
  const { output, inverseRms } = rmsNormForward({ input, gain, epsilon: EPSILON });
  const byRow = (name: string, { data }: ReferenceTensor) =>
    sampleRows(rows, { draws: 16, seed: 1 }).map((row) => ({
      output: name,
      start: row * d,
      wanted: [...data.subarray(row * d, (row + 1) * d)],
    }));
  if (work.pass === "forward") return byRow("output", output);
  const outputGradient = tensor(inputs.outputGradient!, [rows, d]);
  const gradients = rmsNormBackward({ input, gain, inverseRms, outputGradient });
  return [
    ...byRow("inputGradient", gradients.inputGradient),
    { output: "gainGradient", start: 0, wanted: [...gradients.gainGradient.data] },
  ];
}
