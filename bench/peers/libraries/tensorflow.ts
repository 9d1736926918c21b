/** TensorFlow.js, on WebGPU: https://www.tensorflow.org/js */
import type { Peer, PreparedWork } from "../peer.ts";
import type { Numbers } from "../works.ts";
import { EPSILON, type Work } from "../works.ts";

const VERSION = "4.22.0";

interface Tensor {
  add(other: Tensor | number): Tensor;
  mul(other: Tensor | number): Tensor;
  square(): Tensor;
  mean(axis: number, keepDims: boolean): Tensor;
  rsqrt(): Tensor;
  softmax(): Tensor;
  data(): Promise<Float32Array>;
  dispose(): void;
}

interface TensorFlow {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  backend(): {
    readonly queue: GPUQueue;
    ensureCommandEncoderReady(): void;
    endComputePassEncoder(): void;
    submitQueue(): void;
  };
  tensor(data: Float32Array, shape: readonly number[]): Tensor;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  tidy<Result>(compute: () => Result): Result;
  grads(
    compute: (...inputs: Tensor[]) => Tensor,
  ): (inputs: readonly Tensor[], gradient: Tensor) => Tensor[];
}

/**
 * Loads the library from npm: the main package, which computes gradients, and the WebGPU backend.
 */
export async function loadPeer(): Promise<Peer> {
  const names = ["@tensorflow/tfjs", "@tensorflow/tfjs-backend-webgpu"];
  const [library] = await Promise.all(
    names.map((name) => import(`npm:${name}@${VERSION}`) as Promise<unknown>),
  );
  const tf = library as TensorFlow;
  if (!await tf.setBackend("webgpu")) throw new Error("its WebGPU backend does not start");
  await tf.ready();
  return {
    versions: Object.fromEntries(names.map((name) => [name, VERSION])),
    prepare(work, inputs) {
      const ways = work.operator === "attention"
        ? prepareAttention(tf, work, inputs)
        : prepareRows(tf, work, inputs);
      return Promise.resolve([ways]);
    },
  };
}

function prepareAttention(tf: TensorFlow, work: Work, inputs: Numbers): PreparedWork {
  const { H, T, D } = work.dimensions as { H: number; T: number; D: number };
  const tensor = (name: string) => tf.tensor(inputs[name]!, [H, T, D]);
  const mask = new Float32Array(T * T);
  for (let t = 0; t < T; t++) mask.fill(-1e9, t * T + t + 1, (t + 1) * T);
  const causal = tf.tensor(mask, [1, T, T]);
  const attend = (query: Tensor, key: Tensor, value: Tensor): Tensor => {
    const logits = tf.matMul(query, key, false, true).mul(1 / Math.sqrt(D)).add(causal);
    return tf.matMul(logits.softmax(), value);
  };
  const operands = ["query", "key", "value"].map(tensor) as [Tensor, Tensor, Tensor];
  if (work.pass === "forward") {
    return prepared(tf, () => [attend(...operands)], ["output"]);
  }
  const gradient = tensor("outputGradient");
  const pullBack = tf.grads(attend as (...inputs: Tensor[]) => Tensor);
  const names = ["queryGradient", "keyGradient", "valueGradient"];
  return prepared(tf, () => pullBack(operands, gradient), names);
}

function prepareRows(tf: TensorFlow, work: Work, inputs: Numbers): PreparedWork {
  const { rows, d } = work.dimensions as { rows: number; d: number };
  const input = tf.tensor(inputs.input!, [rows, d]);
  const gain = tf.tensor(inputs.gain!, [d]);
  const normalize = (x: Tensor, scale: Tensor): Tensor =>
    x.mul(x.square().mean(-1, true).add(EPSILON).rsqrt()).mul(scale);
  if (work.pass === "forward") return prepared(tf, () => [normalize(input, gain)], ["output"]);
  const outputGradient = tf.tensor(inputs.outputGradient!, [rows, d]);
  const pullBack = tf.grads(normalize as (...inputs: Tensor[]) => Tensor);
  const names = ["inputGradient", "gainGradient"];
  return prepared(tf, () => pullBack([input, gain], outputGradient), names);
}

function prepared(
  tf: TensorFlow,
  compute: () => Tensor[],
  names: readonly string[],
): PreparedWork {
  let results: Tensor[] = [];
  return {
    run() {
      for (const result of results) result.dispose();
      results = tf.tidy(compute);
    },
    async finish() {
      const backend = tf.backend();
      // Submits the last commands, as reading a tensor does. Otherwise they would wait for more
      // commands.
      backend.ensureCommandEncoderReady();
      backend.endComputePassEncoder();
      backend.submitQueue();
      await backend.queue.onSubmittedWorkDone();
    },
    async read() {
      const read: Record<string, Float32Array<ArrayBuffer>> = {};
      for (const [i, name] of names.entries()) {
        read[name] = Float32Array.from(await results[i]!.data());
      }
      return read;
    },
  };
}
