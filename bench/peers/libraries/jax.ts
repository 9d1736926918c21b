/** jax-js, on WebGPU: https://github.com/ekzhang/jax-js */
import { exchangeAxes, type Peer, type PreparedWork } from "../peer.ts";
import type { Numbers } from "../works.ts";
import { EPSILON, type Work } from "../works.ts";

const VERSION = "0.1.25";

// The part of the library's types that is used here. Any call on or with `array` uses it up. A
// call on or with `array.ref` leaves `array` usable.
interface Arrays {
  readonly ref: Arrays;
  readonly shape: readonly number[];
  mul(other: Arrays | number): Arrays;
  div(other: Arrays): Arrays;
  add(other: Arrays | number): Arrays;
  data(): Promise<Float32Array<ArrayBuffer>>;
  gpuBufferSync(): GPUBuffer;
  blockUntilReady(): Promise<Arrays>;
  dispose(): void;
}

type Compute = (...inputs: Arrays[]) => Arrays[];

interface Jax {
  init(device: string): Promise<unknown>;
  defaultDevice(device: string): void;
  jit(compute: Compute): Compute;
  vjp(
    compute: (...inputs: Arrays[]) => Arrays,
    primals: readonly Arrays[],
  ): [Arrays, ((cotangent: Arrays) => Arrays[]) & { dispose?(): void }];
  readonly numpy: {
    array(data: Float32Array, options: { shape: readonly number[] }): Arrays;
    mean(array: Arrays, axis: number, options: { keepdims: boolean }): Arrays;
    sqrt(array: Arrays): Arrays;
    square(array: Arrays): Arrays;
  };
  readonly nn: {
    dotProductAttention(
      query: Arrays,
      key: Arrays,
      value: Arrays,
      options: { isCausal: boolean },
    ): Arrays;
  };
}

/** Loads the library from npm. */
export async function loadPeer(): Promise<Peer> {
  const specifier = `npm:@jax-js/jax@${VERSION}`;
  const jax = await import(specifier) as Jax;
  await jax.init("webgpu");
  jax.defaultDevice("webgpu");
  return {
    versions: { "@jax-js/jax": VERSION },
    async prepare(work, inputs) {
      return [
        await (work.operator === "attention"
          ? prepareAttention(jax, work, inputs)
          : prepareRows(jax, work, inputs)),
      ];
    },
  };
}

async function prepareAttention(jax: Jax, work: Work, inputs: Numbers): Promise<PreparedWork> {
  const { H, T, D } = work.dimensions as { H: number; T: number; D: number };
  // The library's axes are [T, H, D].
  const tensor = (name: string) =>
    jax.numpy.array(exchangeAxes(inputs[name]!, [H, T, D]), { shape: [T, H, D] });
  const attend = (query: Arrays, key: Arrays, value: Arrays) =>
    jax.nn.dotProductAttention(query, key, value, { isCausal: true });
  const operands = ["query", "key", "value"].map(tensor);
  const names = ["queryGradient", "keyGradient", "valueGradient"];
  const restore = (numbers: Float32Array) => exchangeAxes(numbers, [T, H, D]);
  if (work.pass === "forward") {
    const compute = jax.jit((query, key, value) => [attend(query!, key!, value!)]);
    return await prepared(compute, operands, { names: ["output"], restore });
  }
  const compute = jax.jit((query, key, value, gradient) => {
    const [output, pullBack] = jax.vjp(attend, [query!, key!, value!]);
    output.dispose();
    return pullBack(gradient!);
  });
  return await prepared(compute, [...operands, tensor("outputGradient")], { names, restore });
}

async function prepareRows(jax: Jax, work: Work, inputs: Numbers): Promise<PreparedWork> {
  const { rows, d } = work.dimensions as { rows: number; d: number };
  const { numpy } = jax;
  const input = numpy.array(inputs.input!, { shape: [rows, d] });
  const gain = numpy.array(inputs.gain!, { shape: [d] });
  const normalize = (x: Arrays, scale: Arrays): Arrays => {
    const squares = numpy.mean(numpy.square(x.ref), -1, { keepdims: true });
    return x.div(numpy.sqrt(squares.add(EPSILON))).mul(scale);
  };
  if (work.pass === "forward") {
    const compute = jax.jit((x, scale) => [normalize(x!, scale!)]);
    return await prepared(compute, [input, gain], { names: ["output"] });
  }
  const compute = jax.jit((x, scale, gradient) => {
    const [output, pullBack] = jax.vjp(normalize, [x!, scale!]);
    output.dispose();
    return pullBack(gradient!);
  });
  const outputGradient = numpy.array(inputs.outputGradient!, { shape: [rows, d] });
  const names = ["inputGradient", "gainGradient"];
  return await prepared(compute, [input, gain, outputGradient], { names });
}

async function prepared(
  compute: Compute,
  operands: readonly Arrays[],
  { names, restore = (numbers) => numbers }: {
    readonly names: readonly string[];
    readonly restore?: (numbers: Float32Array<ArrayBuffer>) => Float32Array<ArrayBuffer>;
  },
): Promise<PreparedWork> {
  for (const operand of operands) {
    await operand.ref.blockUntilReady().then((each) => each.dispose());
  }
  let results: Arrays[] = [];
  return {
    run() {
      for (const result of results) result.dispose();
      results = compute(...operands.map((operand) => operand.ref));
      // The library is lazy: it never computes a result that is not read.
      for (const result of results) result.ref.gpuBufferSync();
    },
    async finish() {
      for (const result of results) {
        await result.ref.blockUntilReady().then((each) => each.dispose());
      }
    },
    async read() {
      const read: Record<string, Float32Array<ArrayBuffer>> = {};
      for (const [i, name] of names.entries()) read[name] = restore(await results[i]!.ref.data());
      return read;
    },
  };
}
