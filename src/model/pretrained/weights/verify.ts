/**
 * Reads stored weights slice by slice and checks them: all are finite, a stored head equals the
 * embedding if the model ties the two, and stored RoPE frequencies are those of config.json.
 */
import { CheckpointError } from "../../checkpoint/error.ts";
import { bytesPerNumber, indexOfNonFinite } from "../../checkpoint/safetensors/types.ts";
import { EMBEDDING } from "../../../reference/llama/parameters.ts";
import { ropeFrequencies } from "../../../reference/llama/rope.ts";
import type { Architecture } from "../architecture.ts";
import type { MatchedTensors, Place } from "./match.ts";

/** The bytes to read at a time. */
const SLICE_BYTES = 2 ** 23;

/**
 * Checks a model's weights, its stored tied head and its stored RoPE frequencies.
 *
 * @param options `onProgress`: called with the share of the weights that are checked, from 0 to 1
 * @throws {CheckpointError} that names the first tensor with a number that is not finite, or that
 *   disagrees with the embedding or with config.json's RoPE
 */
export async function verifyWeights(
  { parameters, tiedHead, frequencies }: MatchedTensors,
  { architecture, onProgress = () => {} }: {
    readonly architecture: Architecture;
    readonly onProgress?: ((share: number) => void) | undefined;
  },
): Promise<void> {
  for (const place of frequencies) await checkFrequencies(place, architecture);
  const places = [...parameters.values()];
  // Read the tensors in their order on disk.
  places.sort((a, b) =>
    a.file === b.file ? startOf(a) - startOf(b) : a.file.path < b.file.path ? -1 : 1
  );
  const total = places.reduce((sum, place) => sum + sizeOf(place), 0);
  const slice = new Uint8Array(SLICE_BYTES);
  let done = 0;
  for (const place of places) {
    await checkFinite(place, slice, (bytes) => onProgress((done + bytes) / total));
    done += sizeOf(place);
  }
  if (tiedHead !== undefined) {
    await checkTiedHead(tiedHead, { embedding: parameters.get(EMBEDDING)!, architecture });
  }
}

function startOf({ file, name }: Place): number {
  return file.entries.get(name)!.start;
}

function sizeOf({ file, name }: Place): number {
  const { start, end } = file.entries.get(name)!;
  return end - start;
}

async function checkFinite(
  place: Place,
  slice: Uint8Array<ArrayBuffer>,
  onRead: (bytes: number) => void,
): Promise<void> {
  const { file, name } = place;
  const type = file.typeOf(name);
  const size = sizeOf(place);
  for (let offset = 0; offset < size; offset += slice.length) {
    const bytes = slice.subarray(0, Math.min(slice.length, size - offset));
    await file.readBytes(bytes, startOf(place) + offset);
    const bad = indexOfNonFinite(bytes, type);
    if (bad >= 0) {
      const element = offset / bytesPerNumber(type) + bad;
      const [value] = await file.read(name, { start: element, count: 1 });
      throw new CheckpointError(
        `${file.path}: ${name} holds ${value} at element ${element}, wanted finite numbers`,
      );
    }
    onRead(offset + bytes.length);
  }
}

/**
 * Checks that a stored tied head equals the embedding, because some programs compute the logits
 * with the one tensor and some with the other.
 */
async function checkTiedHead(
  head: Place,
  { embedding, architecture }: { readonly embedding: Place; readonly architecture: Architecture },
): Promise<void> {
  const { vocabulary, modelDim } = architecture.config;
  const length = vocabulary * modelDim;
  const step = SLICE_BYTES / 4;
  for (let start = 0; start < length; start += step) {
    const range = { start, count: Math.min(step, length - start) };
    const [given, wanted] = [
      await head.file.read(head.name, range),
      await embedding.file.read(embedding.name, range),
    ];
    const other = given.findIndex((number, i) => number !== wanted[i]);
    if (other < 0) continue;
    throw new CheckpointError(
      `${head.file.path}: ${head.name} holds ${given[other]} at element ${start + other}, but ` +
        `${embedding.name} holds ${wanted[other]}, though config.json's tie_word_embeddings says ` +
        "that they are the same: remove the head, or set tie_word_embeddings to false",
    );
  }
}

/**
 * The largest relative errors of RoPE's stored frequencies. Programs compute a frequency in float32
 * as e^−x with x up to 14 (for a RoPE base up to 10⁶). Rounding x changes e^−x by up to 14 · 2⁻²⁴
 * of itself, and a few more operations round too: `COMPUTED` has room for them all. Then rounding
 * the frequency to the stored type adds an error of up to `ROUNDED`.
 */
const COMPUTED = 32 * 2 ** -24;
const ROUNDED = { F32: 0, F16: 2 ** -11, BF16: 2 ** -8 } as const;
/** The rounding error near 0: half of F16's least positive number, negligible in other types. */
const SMALLEST = { F32: 0, F16: 2 ** -25, BF16: 0 } as const;

/**
 * Checks that RoPE's stored frequencies are those of config.json, with or without its RoPE scaling,
 * because some programs stored the frequencies before scaling them.
 */
async function checkFrequencies(
  { file, name }: Place,
  { config }: Architecture,
): Promise<void> {
  const type = file.typeOf(name);
  const given = await file.read(name);
  const candidates = [config, { ...config, ropeScaling: undefined }].map(ropeFrequencies);
  const others = candidates.map((wanted) =>
    given.findIndex((frequency, i) => {
      const tolerance = (COMPUTED + ROUNDED[type]) * wanted[i]! + SMALLEST[type];
      return !(Math.abs(frequency - wanted[i]!) <= tolerance);
    })
  );
  if (others.includes(-1)) return;
  const i = others[0]!;
  throw new CheckpointError(
    `${file.path}: ${name} holds ${
      given[i]
    } at element ${i}, but RoPE as config.json describes it has ` +
      `${Number(candidates[0]![i]!.toPrecision(8))} there`,
  );
}
