/**
 * The inputs of a streamed model's linear maps, layer by layer though all layers share their plans:
 * the largest magnitude of each, and their rounding to INT8.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Plan } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { planAbsoluteMaximum, planFakeQuantize } from "../../ops/arithmetic/fake_quantize.ts";
import { layerParameterNames } from "../../reference/llama/parameters.ts";
import type { LinearInput } from "../llama/build.ts";
import { Workspace } from "../workspace.ts";

const { query, attentionOutput, gate, down } = layerParameterNames(0);

/**
 * The linear maps of a layer by the names that they have in layer 0. Maps of the same input are
 * one: attention's three projections, and SwiGLU's two.
 */
export const LINEAR_MAPS: readonly string[] = [query, attentionOutput, gate, down];

/** The largest magnitudes of the inputs: [layers][linear map], in the order of LINEAR_MAPS. */
export type LinearMaxima = readonly Float32Array<ArrayBuffer>[];

/** Measures the largest magnitude of every linear map's input on the way forward. */
export class LinearMaximaMeter implements Disposable {
  readonly #gpu: Gpu;
  readonly #workspace: Workspace;
  readonly #layers: number;
  /** The maximum of each linear map in the running layer, [1] each. */
  readonly #current: readonly Tensor[];
  /** [layers · maps] */
  readonly #all: Tensor;
  #ran = false;

  /** @param gpu the model's GPU @param layers how many it has */
  constructor(gpu: Gpu, layers: number) {
    this.#gpu = gpu;
    this.#layers = layers;
    this.#workspace = new Workspace(gpu);
    this.#current = LINEAR_MAPS.map(() => this.#workspace.keep(gpu.empty([1])));
    this.#all = this.#workspace.keep(gpu.empty([layers * LINEAR_MAPS.length]));
  }

  /** For the model's constructor. */
  readonly linearInput: LinearInput = (plans, linear, input) => {
    const maximum = this.#current[LINEAR_MAPS.indexOf(linear)]!;
    this.#workspace.add(plans, {
      plan: planAbsoluteMaximum(this.#gpu, { input, maximum }).plan,
    });
    return input;
  };

  /** For the model's forward pass. */
  readonly onLayerStart = (): void => {
    for (const maximum of this.#current) maximum.write(new Float32Array(1));
  };

  /** For the model's forward pass. */
  readonly onOutput = (layer: number): void => {
    this.#gpu.guard("LinearMaximaMeter", () => {
      const encoder = this.#gpu.device.createCommandEncoder();
      this.#current.forEach(({ buffer }, i) =>
        encoder.copyBufferToBuffer(
          buffer,
          0,
          this.#all.buffer,
          4 * (layer * LINEAR_MAPS.length + i),
          4,
        )
      );
      this.#gpu.device.queue.submit([encoder.finish()]);
    });
    this.#ran = true;
  };

  /**
   * The largest |input| of each linear map, layer by layer, in the last forward pass.
   *
   * @throws {TypeError} if there was none
   */
  async read(): Promise<LinearMaxima> {
    if (!this.#ran) throw new TypeError("LinearMaximaMeter: read() wants a forward pass first");
    const all = await this.#all.read();
    const maps = LINEAR_MAPS.length;
    return Array.from(
      { length: this.#layers },
      (_, layer) => all.slice(layer * maps, (layer + 1) * maps),
    );
  }

  /** Frees everything of its own. */
  [Symbol.dispose](): void {
    this.#workspace[Symbol.dispose]();
  }
}

/** Rounds the inputs of linear maps to symmetric INT8. */
export class LinearRounding implements Disposable {
  readonly #gpu: Gpu;
  readonly #workspace: Workspace;
  readonly #down: boolean;
  /** The scales of the layer that runs, [1] each; undefined for every row's own. */
  readonly #current: readonly Tensor[] | undefined;
  /** What static scales come from; to be set before a forward pass that needs them. */
  maxima: LinearMaxima | undefined;

  /**
   * @param gpu the GPU that holds the model
   * @param options as a QuantizedEvaluation takes them
   */
  constructor(
    gpu: Gpu,
    { linears, scale }: {
      readonly linears: "down" | "all";
      readonly scale: "static" | "per-token";
    },
  ) {
    this.#gpu = gpu;
    this.#workspace = new Workspace(gpu);
    this.#down = linears === "down";
    this.#current = scale === "per-token"
      ? undefined
      : LINEAR_MAPS.map(() => this.#workspace.keep(gpu.empty([1])));
  }

  /** For the model's constructor. */
  readonly linearInput: LinearInput = (plans: Plan[], linear, input) => {
    if (this.#down && linear !== down) return input;
    const maximum = this.#current?.[LINEAR_MAPS.indexOf(linear)];
    return this.#workspace.add(
      plans,
      planFakeQuantize(this.#gpu, { input, ...maximum === undefined ? {} : { maximum } }),
    ).output;
  };

  /**
   * For the model's forward pass.
   *
   * @throws {TypeError} if scales are static and `maxima` is not set
   */
  readonly onLayerStart = (layer: number): void => {
    this.#current?.forEach((tensor, i) => {
      const maximum = this.maxima?.[layer]?.[i];
      if (maximum === undefined) {
        throw new TypeError("LinearRounding: static scales want maxima first");
      }
      tensor.write(Float32Array.of(maximum));
    });
  };

  /** Frees everything of its own; to be called after the model is disposed of. */
  [Symbol.dispose](): void {
    this.#workspace[Symbol.dispose]();
  }
}

/**
 * The larger of two inputs' magnitudes, map by map.
 *
 * @param maxima of at least one batch
 */
export function joinMaxima(maxima: readonly LinearMaxima[]): LinearMaxima {
  const [first, ...others] = maxima as readonly [LinearMaxima, ...LinearMaxima[]];
  return first.map((row, layer) =>
    row.map((value, i) => Math.max(value, ...others.map((other) => other[layer]![i]!)))
  );
}
