/**
 * Operators on plain numbers: uploads the arguments, runs the operator, reads the results and frees
 * everything.
 */
import { type Gpu, type Plan, Tensor } from "../../mod.ts";

/** A row-major float32 array with its shape, on the CPU. */
export interface Numbers {
  readonly data: Float32Array<ArrayBuffer>;
  readonly shape: readonly number[];
}

/** An operator's arguments with {@linkcode Numbers} in place of tensors. */
export type Plain<Args> = {
  readonly [Name in keyof Args]: NonNullable<Args[Name]> extends Tensor
    ? Numbers | (undefined extends Args[Name] ? undefined : never)
    : NonNullable<Args[Name]> extends { readonly constant: Tensor }
      ? Plain<NonNullable<Args[Name]>> | undefined
    : Args[Name] | undefined;
};

/** An operator's results with {@linkcode Numbers} in place of tensors. */
export type Results<Result> = {
  readonly [Name in keyof Omit<Result, "plan">]: Result[Name] extends Tensor ? Numbers
    : Result[Name] extends Tensor | undefined ? Numbers | undefined
    : never;
};

function isNumbers(value: unknown): value is Numbers {
  return typeof value === "object" && value !== null &&
    (value as Numbers).data instanceof Float32Array;
}

/** Tensors of one test case, disposed of together. */
export class Arena {
  readonly #gpu: Gpu;
  readonly #disposables: Disposable[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  upload(numbers: Numbers): Tensor {
    return this.keep(this.#gpu.tensor(numbers.data, numbers.shape));
  }

  /** Adds a tensor or plan to those that the arena disposes of. */
  keep<Item extends Disposable>(item: Item): Item {
    this.#disposables.push(item);
    return item;
  }

  /**
   * Uploads the arrays among an operator's arguments, including the array in `vScale`, and leaves
   * out undefined arguments.
   */
  arguments<Args extends object>(args: Plain<Args>): Args {
    return Object.fromEntries(
      Object.entries(args).filter(([, value]) => value !== undefined).map(([name, value]) => {
        if (isNumbers(value)) return [name, this.upload(value)];
        return [name, typeof value === "object" && value !== null ? this.arguments(value) : value];
      }),
    ) as Args;
  }

  /** Reads all tensors among an operator's results, and adds them to the arena. */
  async results<Result extends object>(result: Result): Promise<Results<Result>> {
    const tensors = Object.entries(result).filter(([, value]) => value instanceof Tensor) as [
      string,
      Tensor,
    ][];
    for (const [, tensor] of tensors) this.keep(tensor);
    const read = await readTogether(this.#gpu, tensors);
    return Object.fromEntries(read) as Results<Result>;
  }

  [Symbol.dispose](): void {
    for (const item of this.#disposables) item[Symbol.dispose]();
  }
}

// Reads all tensors at once, because on Deno's WebGPU every wait for the GPU takes 10 ms.
async function readTogether(
  gpu: Gpu,
  tensors: readonly [string, Tensor][],
): Promise<[string, Numbers][]> {
  const joined = gpu.storage(4 * tensors.reduce((sum, [, { length }]) => sum + length, 0));
  try {
    gpu.guard("read", () => {
      const encoder = gpu.device.createCommandEncoder();
      let end = 0;
      for (const [, { buffer, length }] of tensors) {
        encoder.copyBufferToBuffer(buffer, 0, joined, end, 4 * length);
        end += 4 * length;
      }
      gpu.device.queue.submit([encoder.finish()]);
    });
    const all = new Float32Array(await gpu.readBuffer(joined));
    let end = 0;
    return tensors.map(([name, { length, shape }]) => {
      end += length;
      return [name, { data: all.slice(end - length, end), shape }];
    });
  } finally {
    gpu.free(joined);
  }
}

/** Runs an operator once: uploads its arguments and reads its results. */
export async function onGpu<Args extends object, Result extends object>(
  gpu: Gpu,
  operator: (gpu: Gpu, args: Args) => Result,
  args: NoInfer<Plain<Args>>,
): Promise<Results<Result>> {
  using arena = new Arena(gpu);
  return await arena.results(operator(gpu, arena.arguments<Args>(args)));
}

/**
 * Runs an operator's plan several times, and returns the results of every run. Before each run it
 * fills the outputs with the bits of a NaN, which shows any element that the run does not write.
 */
export async function onGpuPlanned<Args extends object, Result extends { readonly plan: Plan }>(
  gpu: Gpu,
  operator: (gpu: Gpu, args: Args) => Result,
  { args, runs }: { readonly args: NoInfer<Plain<Args>>; readonly runs: number },
): Promise<Results<Result>[]> {
  using arena = new Arena(gpu);
  const planned = operator(gpu, arena.arguments<Args>(args));
  arena.keep(planned.plan);
  const tensors = Object.values(planned).filter((value) => value instanceof Tensor) as Tensor[];
  // Copies each run's results before the next run, and then waits for all copies together.
  const results: Promise<Results<Result>>[] = [];
  for (let run = 0; run < runs; run++) {
    for (const tensor of tensors) {
      const poison = new Uint32Array(tensor.length).fill(0x7fc0dead);
      gpu.device.queue.writeBuffer(tensor.buffer, 0, poison);
    }
    gpu.run(planned.plan);
    results.push(arena.results(planned));
  }
  return await Promise.all(results);
}
