/** Chooses which files of a model on the hub to fetch. */
import { join } from "node:path";
import { CheckpointError } from "../../checkpoint/error.ts";
import { INDEX, otherWeights, readIndex, WHOLE } from "../weights/files.ts";
import type { HubFile } from "./download.ts";

/** A file's entry in the hub's list. */
export interface ListedFile {
  readonly type: string;
  readonly path: string;
  readonly size: number;
  /** Git's digest of the file. */
  readonly oid?: string;
  /** For a large file: the SHA-256 and the size of its content. */
  readonly lfs?: { readonly oid: string; readonly size: number };
}

/** The files to fetch: first the small ones, then the weights. */
export interface NeededFiles {
  /** The configuration, the tokenizer's files and the index of the weights. */
  readonly small: readonly HubFile[];
  /**
   * Lists the files of the weights: model.safetensors, or else the files that the index names.
   *
   * @param folder the folder of the small files
   */
  readonly weights: (folder: string) => Promise<readonly HubFile[]>;
}

const CONFIG = "config.json";
const TOKENIZER = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];

/**
 * Chooses which of the model's files on the hub to fetch.
 *
 * @throws {CheckpointError} if config.json, tokenizer.json or weights in a supported format are
 *   missing, or if the hub names no digest of a file
 */
export function neededFiles(listed: readonly ListedFile[], model: string): NeededFiles {
  const files = new Map(
    listed.filter(({ type }) => type === "file").map((file) => [file.path, file]),
  );
  const named = (name: string): HubFile => {
    const file = files.get(name);
    if (file === undefined) throw new CheckpointError(`${model}: has no ${name}`);
    return hubFile(file, model);
  };
  const whole = files.has(WHOLE);
  if (!whole && !files.has(INDEX)) {
    const other = otherWeights([...files.keys()]);
    throw new CheckpointError(
      `${model}: has no ${WHOLE}${other === undefined ? "" : `, but ${other}`}`,
    );
  }
  const small = [
    CONFIG,
    TOKENIZER[0]!,
    ...TOKENIZER.slice(1).filter((name) => files.has(name)),
    ...whole ? [] : [INDEX],
  ];
  return {
    small: small.map(named),
    weights: async (folder) => {
      if (whole) return [named(WHOLE)];
      const index = await readIndex(join(folder, INDEX));
      return [...new Set(index.values())].sort().map(named);
    },
  };
}

function hubFile({ path: name, size, oid, lfs }: ListedFile, model: string): HubFile {
  if (lfs !== undefined) {
    return { name, size: lfs.size, digest: { type: "sha256", value: lfs.oid } };
  }
  if (oid === undefined) throw new CheckpointError(`${model}: the hub names no digest of ${name}`);
  return { name, size, digest: { type: "git-sha1", value: oid } };
}
