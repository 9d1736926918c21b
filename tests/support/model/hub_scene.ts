/** Scenes for tests of fetching models: a hub on this machine and an empty cache. */
import { join } from "node:path";
import { CheckpointError } from "../../../src/model/checkpoint/error.ts";
import {
  type FetchedModel,
  fetchModel,
  type FetchModelOptions,
} from "../../../src/model/pretrained/hub.ts";
import { assert, assertRejects } from "../assert/assert.ts";
import { inFolder } from "../folder.ts";
import { CONFIGS, type Fields } from "./configs.ts";
import { type HubBehavior, startHub, type TestHub } from "./hub.ts";
import { writeModel } from "./pretrained.ts";

/** The name of the file of weights, if a model has only one. */
export const MODEL = "model.safetensors";
/** The name of the second file of weights, if a model has two. */
export const SHARD = "model-00002-of-00002.safetensors";

/** A model's files. Its weights are in two files of 32 and 40 kB, or in one if `shards` is 1. */
export async function filesOf(
  { shards = 2, fields = CONFIGS.llamaOf5 }: { shards?: number; fields?: Fields } = {},
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const folder = await Deno.makeTempDir();
  try {
    await writeModel(folder, fields, { shards });
    await Deno.writeTextFile(join(folder, "tokenizer.json"), "{}");
    await Deno.writeTextFile(join(folder, "README.md"), "not wanted");
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    return new Map(
      await Promise.all(
        names.map(async (name) => [name, await Deno.readFile(join(folder, name))] as const),
      ),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

export interface Scene {
  readonly hub: TestHub;
  readonly cache: string;
  /** The cached model's folder. */
  readonly root: string;
  readonly fetch: (name?: string, options?: FetchModelOptions) => Promise<FetchedModel>;
  readonly refused: (message: string, name?: string, options?: FetchModelOptions) => Promise<void>;
}

/** No wait between attempts. */
const delay = () => Promise.resolve();

export function withHub(
  behavior: HubBehavior,
  run: (scene: Scene) => Promise<void>,
  files: Promise<Map<string, Uint8Array<ArrayBuffer>>> = filesOf(),
): Promise<void> {
  return inFolder(async (cache) => {
    await using hub = startHub(await files, behavior);
    const access = { address: hub.address, token: undefined, hosts: [new URL(hub.address).host] };
    const fetch: Scene["fetch"] = (name = "owner/tiny", options = {}) =>
      fetchModel(name, { cache, access, delay, ...options });
    const refused: Scene["refused"] = async (message, name, options) => {
      const error = await assertRejects(() => fetch(name, options), CheckpointError, message);
      assert(!error.message.includes("\n"), error.message);
    };
    await run({ hub, cache, root: join(cache, "owner--tiny"), fetch, refused });
  });
}

/** Whether tests may start a hub and fill a cache. */
export const allowed = (await Promise.all(
  [
    { name: "net", host: "127.0.0.1" } as const,
    { name: "write" } as const,
    { name: "read" } as const,
  ]
    .map(async (need) => (await Deno.permissions.query(need)).state === "granted"),
)).every(Boolean);

/** Registers a test that needs a hub. Without permissions it is ignored, and its name says so. */
export function testWithHub(name: string, run: () => Promise<void>): void {
  Deno.test({
    name: allowed ? name : `${name} [needs --allow-net=127.0.0.1 --allow-read --allow-write]`,
    ignore: !allowed,
    fn: run,
  });
}

/** The requested ranges of a file. */
export function rangesOf({ requests }: TestHub, name: string): string[] {
  return requests.filter((request) => request.includes(name))
    .map((request) => request.split(" ")[1] ?? "all")
    .filter((range) => range !== "bytes=0-0");
}
