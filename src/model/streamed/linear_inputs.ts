/**
 * Measures the largest magnitude of each linear map's input in a streamed model, or rounds these
 * inputs to INT8. Each layer has its own values, although all layers share one set of plans.
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
 * The linear maps of a layer, by their names in layer 0. Maps with the same input are one entry,
 * under the first one's name: attention's three projections, and SwiGLU's two.
 */
export const LINEAR_MAPS: readonly string[] = [query, attentionOutput, gate, down];

/**
 * The largest magnitudes of the inputs: [layers][linear map], in the order of {@linkcode
 * LINEAR_MAPS}.
 */
export type LinearMaxima = readonly Float32Array<ArrayBuffer>[];

export class LinearMaximaMeter implements Disposable {
  readonly #gpu: Gpu;
  readonly #workspace: Workspace;
  readonly #layers: number;
  /** The largest |input| of each linear map in the current layer: a tensor [1] per map. */
  readonly #current: readonly Tensor[];
  /** [layers · maps] */
  readonly #all: Tensor;
  #ran = false;

  constructor(gpu: Gpu, layers: number) {
    this.#gpu = gpu;
    this.#layers = layers;
    this.#workspace = new Workspace(gpu);
    this.#current = LINEAR_MAPS.map(() => this.#workspace.keep(gpu.empty([1])));
    this.#all = this.#workspace.keep(gpu.empty([layers * LINEAR_MAPS.length]));
  }

  /** Pass this function to `StreamedLlama` as the option `linearInput`. */
  readonly linearInput: LinearInput = (plans, linear, input) => {
    const maximum = this.#current[LINEAR_MAPS.indexOf(linear)]!;
    this.#workspace.add(plans, {
      plan: planAbsoluteMaximum(this.#gpu, { input, maximum }).plan,
    });
    return input;
  };

  /** Pass this function to `StreamedLlama.forward` as the option `onLayerStart`. */
  readonly onLayerStart = (): void => {
    for (const maximum of this.#current) maximum.write(new Float32Array(1));
  };

  /** Pass this function to `StreamedLlama.forward` as the option `onOutput`. */
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
   * @throws {TypeError} if there was no forward pass
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

  /** Frees its own tensors and plans. */
  [Symbol.dispose](): void {
    this.#workspace[Symbol.dispose]();
  }
}

/** Rounds the inputs of linear maps to symmetric INT8. */
export class LinearRounding implements Disposable {
  readonly #gpu: Gpu;
  readonly #workspace: Workspace;
  readonly #down: boolean;
  /** The largest |input| of the current layer's maps, [1] each; undefined for scales per token. */
  readonly #current: readonly Tensor[] | undefined;
  /** The largest |input| of each map, for static scales. Set it before the forward pass. */
  maxima: LinearMaxima | undefined;

  /**
   * @param options as in `QuantizedOptions`
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

  /** Pass this function to `StreamedLlama` as the option `linearInput`. */
  readonly linearInput: LinearInput = (plans: Plan[], linear, input) => {
    if (this.#down && linear !== down) return input;
    const maximum = this.#current?.[LINEAR_MAPS.indexOf(linear)];
    return this.#workspace.add(
      plans,
      planFakeQuantize(this.#gpu, { input, ...maximum === undefined ? {} : { maximum } }),
    ).output;
  };

  /**
   * Pass this function to `StreamedLlama.forward` as the option `onLayerStart`.
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

  /** Frees its own tensors and plans; call it after disposing of the model. */
  [Symbol.dispose](): void {
    this.#workspace[Symbol.dispose]();
  }
}

/**
 * Combines the maxima of several batches: the largest for each linear map of each layer.
 *
 * @param maxima of at least one batch
 */
export function joinMaxima(maxima: readonly LinearMaxima[]): LinearMaxima {
  const [first, ...others] = maxima as readonly [LinearMaxima, ...LinearMaxima[]];
  return first.map((row, layer) =>
    row.map((value, i) => Math.max(value, ...others.map((other) => other[layer]![i]!)))
  );
}
