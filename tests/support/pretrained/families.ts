/** The small checkpoints of fixtures/pretrained, with PyTorch's float64 results. */
import { fileURLToPath } from "node:url";
import { readSafetensors } from "../../../src/model/checkpoint/safetensors.ts";
import type { LayerTrace } from "../../../src/reference/llama/trace.ts";

/** The checkpoints' folders, each named after a model family, or a family and a setting. */
export const FAMILIES = [
  "llama-llama3",
  "llama-linear",
  "llama-bias",
  "mistral",
  "qwen2",
  "qwen3",
  "qwen3-bias",
] as const;

/** B and T of the expected results: 2 sequences of 6 tokens. */
export const [BATCH, CONTEXT] = [2, 6];

export function familyFolder(name: string): string {
  return fileURLToPath(new URL(`../../../fixtures/pretrained/${name}`, import.meta.url));
}

export interface Expected {
  readonly batch: { readonly inputs: Uint32Array; readonly targets: Uint32Array };
  /** [B · T, V] */
  readonly logits: Float32Array;
  readonly loss: number;
  /** The last layer's output: [B, T, d] */
  readonly final: Float32Array;
  /** A layer's float64 results, stored as float32, under the names of {@linkcode traceEntries}. */
  layer(index: number): ReadonlyMap<string, Float32Array>;
}

export async function readExpected(name: string): Promise<Expected> {
  const tensors = await readSafetensors(`${familyFolder(name)}/expected.safetensors`);
  const data = (tensor: string) => tensors.get(tensor)!.data;
  return {
    batch: {
      inputs: Uint32Array.from(data("inputs")),
      targets: Uint32Array.from(data("targets")),
    },
    logits: data("logits"),
    loss: data("loss")[0]!,
    final: data("final"),
    layer: (index) =>
      new Map(
        [...tensors].filter(([key]) => key.startsWith(`${index}.`))
          .map(([key, { data }]) => [key.slice(`${index}.`.length), data]),
      ),
  };
}

/** A layer's states and gradients, named as in {@linkcode Expected}'s `layer`. */
export function traceEntries<Numbers>(trace: LayerTrace<Numbers>): [string, Numbers][] {
  const attention = trace.attention!;
  return [
    ["input", trace.input],
    ["norm", attention.norm],
    ["query", attention.query],
    ["key", attention.key],
    ["value", attention.value],
    ["attention", attention.output],
    ["residual", attention.residual],
    ["half", trace.half],
    ["mlpNorm", trace.mlpNorm],
    ["mlpResidual", trace.mlpResidual],
    ["input.gradient", trace.gradients.input],
    ["norm.gradient", attention.gradients.norm],
    ["query.gradient", attention.gradients.query],
    ["key.gradient", attention.gradients.key],
    ["value.gradient", attention.gradients.value],
    ["attention.gradient", attention.gradients.output],
    ["residual.gradient", trace.gradients.half],
    ["half.gradient", trace.gradients.half],
    ["mlpNorm.gradient", trace.gradients.mlpNorm],
    ["mlpResidual.gradient", trace.gradients.output],
  ];
}

/** ‖found − wanted‖ / ‖wanted‖. */
export function relativeDistance(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (found.length !== wanted.length) {
    throw new Error(`${found.length} numbers, wanted ${wanted.length}`);
  }
  let distance = 0;
  let size = 0;
  for (let i = 0; i < wanted.length; i++) {
    distance += (found[i]! - wanted[i]!) ** 2;
    size += wanted[i]! ** 2;
  }
  return Math.sqrt(distance / size);
}
