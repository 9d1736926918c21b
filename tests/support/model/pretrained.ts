/** Writes tiny pretrained models to folders as Hugging Face's tools do, intact or damaged. */
import { join } from "node:path";
import { parseHuggingFaceConfig } from "../../../src/model/checkpoint/hugging_face.ts";
import { randomNormal } from "../../../src/random.ts";
import { listParameters, parameterLength } from "../../../src/reference/llama/parameters.ts";
import type { Fields } from "./configs.ts";
import { rounded, safetensorsFile, type StoredTensor } from "./safetensors.ts";

/** How a model is stored. */
export interface StoredAs {
  /** F32 by default. */
  readonly type?: "F32" | "F16" | "BF16";
  /** The number of files. Default: 1. */
  readonly shards?: number;
  /** Changes the tensors before they are written. */
  readonly change?: (tensors: Map<string, StoredTensor>) => void;
}

/** Random tensors for a model, with numbers that F32, F16 and BF16 represent exactly. */
export function modelTensors(fields: Fields): Map<string, Float32Array<ArrayBuffer>> {
  const { config } = parseHuggingFaceConfig(JSON.stringify(fields), "config.json");
  return new Map(
    listParameters(config).map((parameter, i) => {
      const length = parameterLength(parameter);
      return [
        parameter.name,
        length > 1e6
          ? Float32Array.from({ length }, (_, i) => (i % 251) / 256) // drawing would take seconds
          : rounded(randomNormal({ seed: i + 1, length, standardDeviation: 0.5 })),
      ];
    }),
  );
}

/** Writes a model of {@linkcode modelTensors}. */
export async function writeModel(
  folder: string,
  fields: Fields,
  { type = "F32", shards = 1, change = () => {} }: StoredAs = {},
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "config.json"), JSON.stringify(fields));
  const { config } = parseHuggingFaceConfig(JSON.stringify(fields), "config.json");
  const shapes = new Map(listParameters(config).map(({ name, shape }) => [name, shape]));
  const tensors = new Map<string, StoredTensor>(
    [...modelTensors(fields)].map(([name, data]) => [
      name,
      { type, shape: shapes.get(name)!, data },
    ]),
  );
  change(tensors);
  if (shards === 1) {
    return await Deno.writeFile(join(folder, "model.safetensors"), safetensorsFile(tensors));
  }
  // Distributes the tensors over the files, the last file first, so that readers cannot rely on an
  // order.
  const names = Array.from({ length: shards }, (_, i) => shardName(shards - i, shards));
  const parts = names.map(() => new Map<string, StoredTensor>());
  [...tensors].forEach(([name, tensor], i) => parts[i % shards]!.set(name, tensor));
  for (const [i, part] of parts.entries()) {
    await Deno.writeFile(join(folder, names[i]!), safetensorsFile(part));
  }
  const weightMap = Object.fromEntries(
    parts.flatMap((part, i) => [...part.keys()].map((name) => [name, names[i]])),
  );
  await writeIndex(folder, weightMap);
}

/** The name of a shard, counted from 1. */
export function shardName(shard: number, of: number): string {
  const digits = (number: number) => String(number).padStart(5, "0");
  return `model-${digits(shard)}-of-${digits(of)}.safetensors`;
}

export async function writeIndex(folder: string, weightMap: unknown): Promise<void> {
  await Deno.writeTextFile(
    join(folder, "model.safetensors.index.json"),
    JSON.stringify({ metadata: { total_size: 1 }, weight_map: weightMap }),
  );
}
