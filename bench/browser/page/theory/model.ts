/**
 * The story of gradient sinks in one head: 64 tokens, the first of them a sink, computed by the
 * project's own operators, on the GPU or in float64.
 *
 * Queries, keys, values, hidden states and output gradients are drawn from fixed seeds. But every
 * query's logit for token 0 is set to the sink's strength. A token's value gradient reaches RMSNorm
 * unchanged, as if the value projection were the identity. See Chen, Lin and Yao, arXiv 2603.17771.
 */
import type { Gpu } from "../../../../src/gpu/gpu.ts";
import { attentionBackward, attentionForward } from "../../../../src/ops/attention.ts";
import { attentionSinkStatistics } from "../../../../src/ops/attention_sink_statistics.ts";
import { rmsNormBackward, rmsNormForward } from "../../../../src/ops/rms_norm.ts";
import { Tensor } from "../../../../src/gpu/tensor.ts";
import * as twinAttention from "../../../../src/reference/attention.ts";
import * as twinStatistics from "../../../../src/reference/attention_sink_statistics.ts";
import * as twinNorm from "../../../../src/reference/rms_norm.ts";
import { tensor as twinTensor } from "../../../../src/reference/tensor.ts";
import { randomNormal } from "../../../../src/random.ts";

/** The sliders' values. */
export interface TheoryInput {
  /** The logit of token 0, the same for all queries. */
  readonly strength: number;
  /** The length of token 0's hidden state, relative to other tokens'. */
  readonly activation: number;
  /** The length of token 0's value, relative to other tokens'. */
  readonly value: number;
  /** V-scale's mode, or "none" without V-scale. */
  readonly valve: "none" | "full" | "backward-only";
  /** V-scale's C, relative to the squared length of other tokens' values. */
  readonly constant: number;
}

/** The results. Each list has one number for each of the first {@linkcode SHOWN} tokens. */
export interface TheoryOutput {
  /** M_t = Σ_i a_it: the sum of the attention weights that all queries i give token t. */
  readonly mass: readonly number[];
  /** ‖∂L/∂v̂_t‖: the gradient that arrives at V-scale's output v̂, or at v without V-scale. */
  readonly arriving: readonly number[];
  /** ‖∂L/∂v_t‖: the gradient that V-scale lets through to the value v. */
  readonly passing: readonly number[];
  /** ‖∂L/∂h_t‖: the gradient of the hidden state h, after RMSNorm's backward pass. */
  readonly hidden: readonly number[];
  /** M_0 max_t ‖g_t‖, an upper bound of `arriving` at token 0; g_t is the output gradient. */
  readonly bound: number;
  readonly by: "gpu" | "reference";
}

/** T, the length of the sequence. */
export const TOKENS = 64;
/** The number of tokens that are shown. */
export const SHOWN = 12;
const WIDTH = 32;
const LENGTH = Math.sqrt(WIDTH);

interface Scene {
  readonly query: Float32Array;
  readonly key: Float32Array;
  readonly value: Float32Array;
  readonly hidden: Float32Array;
  readonly outputGradient: Float32Array;
  readonly constant: Float32Array;
  readonly gain: Float32Array;
}

interface Computed {
  readonly mass: readonly number[];
  readonly arriving: ArrayLike<number>;
  readonly passing: ArrayLike<number>;
  readonly hidden: ArrayLike<number>;
}

function createScene({ strength, activation, value: size, constant }: TheoryInput): Scene {
  const draw = (seed: number): Float32Array => randomNormal({ seed, length: TOKENS * WIDTH });
  const [query, key, value, hidden, noise] = [draw(1), draw(2), draw(3), draw(4), draw(5)];
  // Only the sink's key uses the first dimension, in which every query is 1. So the sink's logit
  // ⟨q_t, k_0⟩/√D is `strength` for every t.
  for (let t = 0; t < TOKENS; t++) query[t * WIDTH] = 1;
  key.fill(0, 0, WIDTH);
  key[0] = strength * LENGTH;
  for (let t = 1; t < TOKENS; t++) key[t * WIDTH] = 0;
  setLength(value, size * LENGTH);
  setLength(hidden, activation * LENGTH);
  // Each gradient is g_t = μ + ε_t. In a sum over many tokens, μ adds up; the noise ε_t does not.
  const outputGradient = noise.map((each, i) => 0.5 * each / LENGTH + (i % WIDTH === 1 ? 1 : 0));
  return {
    query,
    key,
    value,
    hidden,
    outputGradient,
    constant: Float32Array.of(constant * WIDTH),
    gain: new Float32Array(WIDTH).fill(1),
  };
}

function setLength(rows: Float32Array, length: number): void {
  const factor = length / norms(rows)[0]!;
  for (let i = 0; i < WIDTH; i++) rows[i]! *= factor;
}

function norms(rows: ArrayLike<number>): number[] {
  return Array.from({ length: rows.length / WIDTH }, (_, t) => {
    let sum = 0;
    for (let i = t * WIDTH; i < (t + 1) * WIDTH; i++) sum += rows[i]! * rows[i]!;
    return Math.sqrt(sum);
  });
}

/**
 * Computes attention, its gradients, and RMSNorm for the sliders' values.
 *
 * @param gpu undefined to compute in float64 on the CPU
 * @throws {GpuError} if the GPU fails
 */
export async function computeTheory(
  input: TheoryInput,
  gpu: Gpu | undefined,
): Promise<TheoryOutput> {
  const scene = createScene(input);
  const computed = gpu === undefined
    ? onTwin(scene, input.valve)
    : await onGpu(scene, input.valve, gpu);
  const shown = (rows: ArrayLike<number>): number[] => norms(rows).slice(0, SHOWN);
  return {
    mass: computed.mass,
    arriving: shown(computed.arriving),
    passing: shown(computed.passing),
    hidden: shown(computed.hidden),
    bound: computed.mass[0]! * Math.max(...norms(scene.outputGradient)),
    by: gpu === undefined ? "reference" : "gpu",
  };
}

async function onGpu(scene: Scene, valve: TheoryInput["valve"], gpu: Gpu): Promise<Computed> {
  const owned: Tensor[] = [];
  const keep = <Made extends object>(made: Made): Made => {
    owned.push(...Object.values(made).filter((each) => each instanceof Tensor));
    return made;
  };
  try {
    const shape = [1, 1, TOKENS, WIDTH];
    const put = (numbers: Float32Array, shape: readonly number[]): Tensor =>
      keep({ tensor: gpu.tensor(numbers, shape) }).tensor;
    const query = put(scene.query, shape);
    const key = put(scene.key, shape);
    const value = put(scene.value, shape);
    const outputGradient = put(scene.outputGradient, shape);
    // The portable variant compiles much faster than others, and runs fast enough on 64 tokens.
    const inputs = { query, key, value, variant: "portable" };
    const forward = keep(attentionForward(gpu, inputs));
    const plain = keep(attentionBackward(gpu, { ...inputs, ...forward, outputGradient }));
    let { valueGradient } = plain;
    if (valve !== "none") {
      const vScale = { constant: put(scene.constant, [1]), mode: valve };
      const valved = keep(attentionForward(gpu, { ...inputs, vScale }));
      const gradients = attentionBackward(gpu, { ...inputs, ...valved, outputGradient, vScale });
      valueGradient = keep(gradients).valueGradient;
    }
    const masses = Array.from(
      { length: SHOWN },
      (_, position) =>
        keep(attentionSinkStatistics(gpu, {
          query,
          key,
          logSumExp: forward.logSumExp,
          position,
          window: 1,
        })).mass,
    );
    const input = put(scene.hidden, [TOKENS, WIDTH]);
    const gain = put(scene.gain, [WIDTH]);
    const { inverseRms } = keep(rmsNormForward(gpu, { input, gain }));
    const passing = await valueGradient.read();
    const { inputGradient } = keep(rmsNormBackward(gpu, {
      input,
      gain,
      inverseRms,
      outputGradient: put(passing, [TOKENS, WIDTH]),
    }));
    const mass: number[] = [];
    for (const each of masses) mass.push((await each.read())[0]!);
    return {
      mass,
      arriving: await plain.valueGradient.read(),
      passing,
      hidden: await inputGradient.read(),
    };
  } finally {
    for (const tensor of owned) tensor.dispose();
  }
}

function onTwin(scene: Scene, valve: TheoryInput["valve"]): Computed {
  const shape = [1, 1, TOKENS, WIDTH];
  const query = twinTensor(scene.query, shape);
  const key = twinTensor(scene.key, shape);
  const value = twinTensor(scene.value, shape);
  const outputGradient = twinTensor(scene.outputGradient, shape);
  const inputs = { query, key, value };
  const forward = twinAttention.attentionForward(inputs);
  const plain = twinAttention.attentionBackward({ ...inputs, ...forward, outputGradient });
  let { valueGradient } = plain;
  if (valve !== "none") {
    const vScale = { constant: twinTensor(scene.constant, [1]), mode: valve };
    const valved = twinAttention.attentionForward({ ...inputs, vScale });
    valueGradient = twinAttention.attentionBackward({
      ...inputs,
      ...valved,
      outputGradient,
      vScale,
    }).valueGradient;
  }
  const mass = Array.from(
    { length: SHOWN },
    (_, position) =>
      twinStatistics.attentionSinkStatistics({
        query,
        key,
        logSumExp: forward.logSumExp,
        position,
        window: 1,
      }).mass.data[0]!,
  );
  const input = twinTensor(scene.hidden, [TOKENS, WIDTH]);
  const gain = twinTensor(scene.gain, [WIDTH]);
  const { inverseRms } = twinNorm.rmsNormForward({ input, gain });
  const { inputGradient } = twinNorm.rmsNormBackward({
    input,
    gain,
    inverseRms,
    outputGradient: twinTensor(valueGradient.data, [TOKENS, WIDTH]),
  });
  return {
    mass,
    arriving: plain.valueGradient.data,
    passing: valueGradient.data,
    hidden: inputGradient.data,
  };
}
