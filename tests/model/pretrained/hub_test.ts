import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageCacheFolder } from "../../../src/files/cache_folder.ts";
import { CheckpointError } from "../../../src/model/checkpoint/error.ts";
import {
  type FetchedModel,
  fetchModel,
  type FetchModelOptions,
  isHubName,
} from "../../../src/model/pretrained/hub.ts";
import { checkRoom } from "../../../src/model/pretrained/hub/room.ts";
import { openWeights } from "../../../src/model/pretrained/weights.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "../../support/assert/assert.ts";
import { inFolder, namesIn } from "../../support/folder.ts";
import { CONFIGS, type Fields } from "../../support/model/configs.ts";
import { type HubBehavior, startHub, type TestHub } from "../../support/model/hub.ts";
import { writeModel } from "../../support/model/pretrained.ts";

const MODEL = "model.safetensors";
const SHARD = "model-00002-of-00002.safetensors";

/** A model's files. Its weights are two files of 32 and 40 kB, or one file with both. */
async function filesOf(
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

interface Scene {
  readonly hub: TestHub;
  readonly cache: string;
  /** The cached model's folder. */
  readonly root: string;
  readonly fetch: (name?: string, options?: FetchModelOptions) => Promise<FetchedModel>;
  readonly refused: (message: string, name?: string, options?: FetchModelOptions) => Promise<void>;
}

/** No wait between attempts. */
const delay = () => Promise.resolve();

function withHub(
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

const allowed = (await Promise.all(
  [
    { name: "net", host: "127.0.0.1" } as const,
    { name: "write" } as const,
    { name: "read" } as const,
  ]
    .map(async (need) => (await Deno.permissions.query(need)).state === "granted"),
)).every(Boolean);

function test(name: string, run: () => Promise<void>): void {
  Deno.test({
    name: allowed ? name : `${name} [needs --allow-net=127.0.0.1 --allow-read --allow-write]`,
    ignore: !allowed,
    fn: run,
  });
}

const children = allowed && Deno.build.os !== "windows" &&
  (await Deno.permissions.query({ name: "run" })).state === "granted" &&
  (await Deno.permissions.query({ name: "env" })).state === "granted";

function testWithChildren(name: string, run: () => Promise<void>): void {
  Deno.test({
    name: children ? name : `${name} [needs also --allow-env --allow-run, and sh]`,
    ignore: !children,
    fn: run,
  });
}

/** The requested ranges of a file. */
function rangesOf({ requests }: TestHub, name: string): string[] {
  return requests.filter((request) => request.includes(name))
    .map((request) => request.split(" ")[1] ?? "all")
    .filter((range) => range !== "bytes=0-0");
}

Deno.test("isHubName() tells names from paths", () => {
  for (const name of ["a/b", "HuggingFaceTB/SmolLM2-135M", "a.b/c_d", "a/b@main", "a/b@v1.0-rc"]) {
    assert(isHubName(name), name);
  }
  const paths = [
    "a",
    "/a/b",
    "./b",
    "../b",
    "a/..",
    "a/b/c",
    "a/b/",
    "a b/c",
    "a/b@",
    "~/b",
    ".a/b",
  ];
  for (const path of paths) assert(!isHubName(path), path);
});

test("fetchModel() fetches what is needed, once, and opens like any folder", () =>
  withHub({}, async ({ hub, root, fetch }) => {
    const progress: [number, number][] = [];
    const first = await fetch("owner/tiny", { onProgress: (...each) => progress.push(each) });
    assertEquals(first, { folder: join(root, hub.commit), commit: hub.commit, fetched: true });
    assertEquals(await namesIn(first.folder), [
      "config.json",
      "model-00001-of-00002.safetensors",
      SHARD,
      "model.safetensors.index.json",
      "tokenizer.json",
    ]);
    for (const name of await namesIn(first.folder)) {
      assertEquals(await Deno.readFile(join(first.folder, name)), hub.files.get(name), name);
    }
    assert(progress.every(([done], i) => i === 0 || done >= progress[i - 1]![0]));
    const [done, total] = progress.at(-1)!;
    assertEquals(done, total);
    (await openWeights(first.folder))[Symbol.dispose]();
    const asked = hub.requests.length;
    for (const name of ["owner/tiny", "owner/tiny@main", `owner/tiny@${hub.commit}`]) {
      assertEquals(await fetch(name), { ...first, fetched: false });
    }
    assertEquals(hub.requests.length, asked);
    assertEquals(await namesIn(root), [".lock", hub.commit, "refs"]);
  }));

test("fetchModel() resumes after a broken connection, in the same run and in the next one", () =>
  withHub({ breakAfter: 9000 }, async ({ hub, fetch, refused, root }) => {
    const size = hub.files.get(MODEL)!.length;
    let waits = 0;
    const giveUp = () => {
      if (++waits === 2) hub.behavior.breakAfter = 0;
      return Promise.resolve();
    };
    await refused(
      `(18000 of ${size} bytes of model.safetensors are there; the next run goes on from them)`,
      "owner/tiny",
      { delay: giveUp },
    );
    assertEquals(rangesOf(hub, MODEL).slice(0, 2), ["all", `bytes=9000-${size - 1}`]);
    assertEquals(await namesIn(root), [`.lock`, `.unfinished-${hub.commit}`]);
    hub.behavior.breakAfter = 40_000;
    hub.requests.length = 0;
    const { folder, fetched } = await fetch();
    assertEquals(
      rangesOf(hub, MODEL),
      [18_000, 58_000].map((start) => `bytes=${start}-${size - 1}`),
    );
    assertEquals(rangesOf(hub, "config.json"), []);
    assert(fetched);
    assertEquals(await Deno.readFile(join(folder, MODEL)), hub.files.get(MODEL));
  }, filesOf({ shards: 1 })));

test("fetchModel() asks again if a download stalls", () =>
  withHub({ stallAfter: 30_000 }, async ({ hub, fetch }) => {
    const { folder } = await fetch("owner/tiny", { patience: 100 });
    assertEquals(await Deno.readFile(join(folder, SHARD)), hub.files.get(SHARD));
    assertEquals(rangesOf(hub, SHARD), ["all", "bytes=30000-40198"]);
  }));

test("fetchModel() starts over if a hub sends wrong bytes, and gives up the second time", () =>
  withHub({ corrupt: 1 }, async ({ hub, fetch, refused, root }) => {
    const { folder } = await fetch();
    assertEquals(rangesOf(hub, "config.json"), ["all", "all"]);
    for (const name of await namesIn(folder)) {
      assertEquals(await Deno.readFile(join(folder, name)), hub.files.get(name), name);
    }
    await Deno.remove(root, { recursive: true });
    hub.behavior.corrupt = Infinity;
    await refused("config.json: what comes is not the file that the hub describes: its git-sha1");
    assertEquals(await namesIn(join(root, `.unfinished-${hub.commit}`)), []);
    hub.behavior.corrupt = 0;
    // The file on the hub changes, and its description with it.
    hub.files.set(SHARD, hub.files.get(SHARD)!.with(9, 7));
    const other = hub.files.get(SHARD)!;
    await fetch();
    assertEquals(await Deno.readFile(join(root, hub.commit, SHARD)), other);
  }));

test("fetchModel() notices an earlier run's leftovers of another file", () =>
  withHub({}, async ({ hub, fetch, root }) => {
    const unfinished = join(root, `.unfinished-${hub.commit}`);
    await Deno.mkdir(unfinished, { recursive: true });
    await Deno.writeFile(join(unfinished, `${SHARD}.part`), new Uint8Array(1000));
    const first = "model-00001-of-00002.safetensors";
    await Deno.writeFile(join(unfinished, `${first}.part`), new Uint8Array(99_999));
    const { folder } = await fetch();
    for (const name of [first, SHARD]) {
      assertEquals(await Deno.readFile(join(folder, name)), hub.files.get(name), name);
    }
    assertEquals(rangesOf(hub, SHARD), ["bytes=1000-40198", "all"]);
    assertEquals(rangesOf(hub, first), ["all"]);
  }));

test("fetchModel() starts over if a hub ignores ranges", () =>
  withHub({ breakAfter: 30_000, ignoreRange: true }, async ({ hub, fetch }) => {
    let waits = 0;
    const { folder } = await fetch("owner/tiny", {
      delay: () => {
        if (++waits === 3) hub.behavior.breakAfter = undefined;
        return Promise.resolve();
      },
    });
    assertEquals(await Deno.readFile(join(folder, SHARD)), hub.files.get(SHARD));
  }));

test("fetchModel() gives up if a hub neither honors ranges nor sends a whole file", () =>
  withHub(
    { breakAfter: 30_000, ignoreRange: true },
    ({ refused }) =>
      refused("model-00001-of-00002.safetensors are there; the next run goes on from them)"),
  ));

test("fetchModel() says what a hub's refusal means", () =>
  withHub({}, async ({ hub, refused, root }) => {
    const { address, behavior } = hub;
    const access = { address, token: "hf_secret", hosts: [new URL(address).host] };
    const cases: readonly [HubBehavior["refuse"], string, string][] = [
      [
        { status: 401, code: "GatedRepo" },
        `is gated: accept its terms on ${address}/owner/tiny, and give a token of your account in`,
        `accept its terms on ${address}/owner/tiny, and use a token of that account, which the one`,
      ],
      [
        { status: 403, code: "GatedRepo" },
        "is gated: accept its terms",
        "is gated: accept its terms",
      ],
      [
        { status: 401, code: "RepoNotFound" },
        "has no such model, or it is a private one: check the name, or give a token",
        "has no such model that the token in HF_TOKEN may read",
      ],
      [{ status: 401 }, "has no such model", "has no such model that the token"],
      [{ status: 404, code: "RepoNotFound" }, "has no such model", "has no such model that"],
      [{ status: 404, code: "RevisionNotFound" }, "has no such revision", "no such revision"],
      [{ status: 429 }, "answers with status 429: try again later", "status 429"],
      [{ status: 503 }, "answers with status 503: try again later", "status 503"],
      [{ status: 418 }, "answers with status 418", "answers with status 418"],
    ];
    for (const [refuse, without, withToken] of cases) {
      behavior.refuse = refuse;
      await refused(without);
      await refused(withToken, "owner/tiny", { access });
    }
    behavior.refuse = undefined;
    await refused("has no such revision of it", "owner/tiny@v2");
    await refused("has no such model", "owner/other");
    assertEquals(await namesIn(root), [".lock"]);
  }));

test("fetchModel() asks again if a hub is busy", () =>
  withHub({ refuse: { status: 503 }, refusals: 3 }, async ({ hub, fetch }) => {
    const { folder } = await fetch();
    assertEquals(await Deno.readFile(join(folder, SHARD)), hub.files.get(SHARD));
    assertEquals(hub.requests.filter((path) => path.includes("/revision/main")).length, 4);
  }));

test("fetchModel() sends the token only to the hub", () =>
  withHub({ token: "hf_secret", redirectFrom: 10_000 }, async ({ hub, fetch, refused }) => {
    await refused("is gated");
    const { address } = hub;
    const access = { address, token: "hf_secret", hosts: [new URL(address).host] };
    const { folder } = await fetch("owner/tiny", { access });
    assertEquals(await Deno.readFile(join(folder, SHARD)), hub.files.get(SHARD));
    assertEquals(hub.leaked, []);
  }));

test("fetchModel() refuses an unsupported model before it fetches the weights", async () => {
  const none = { ...CONFIGS.llamaOf5, num_experts: 8 };
  const files = await filesOf();
  files.set("config.json", new TextEncoder().encode(JSON.stringify(none)));
  await withHub({}, async ({ hub, refused }) => {
    await refused("owner/tiny: config.json: num_experts is 8, wanted 0");
    assertEquals(rangesOf(hub, ".safetensors "), []);
    hub.files.delete("tokenizer.json");
    await refused("owner/tiny: has no tokenizer.json");
    hub.files.delete("config.json");
    await refused("owner/tiny: has no config.json");
    for (const name of [...hub.files.keys()]) hub.files.delete(name);
    await refused("owner/tiny: has no model.safetensors");
    hub.files.set("pytorch_model.bin", new Uint8Array(9));
    await refused("has no model.safetensors, but pytorch_model.bin, weights in Python's pickle");
  }, Promise.resolve(files));
});

test("fetchModel() refuses a commit that leads out of the cache", () =>
  withHub({}, async ({ hub, refused, root }) => {
    hub.commit = "../../other";
    await refused('says that its commit is "../../other", wanted 40 hexadecimal digits');
    assertEquals(await namesIn(root), [".lock"]);
  }));

test("fetchModel() refuses an index that leads out of the folder", async () => {
  const files = await filesOf();
  const index = { weight_map: { a: "../other.safetensors" } };
  files.set("model.safetensors.index.json", new TextEncoder().encode(JSON.stringify(index)));
  await withHub(
    {},
    ({ refused }) => refused('"a" is in "../other.safetensors", wanted the name'),
    Promise.resolve(files),
  );
});

test("fetchModel() keeps each commit, and removes unfinished downloads of commits that are gone", () =>
  withHub({ breakAfter: 0 }, async ({ hub, fetch, refused, root }) => {
    const [first, second] = [hub.commit, "d".repeat(40)];
    await refused("the connection breaks");
    hub.behavior.breakAfter = undefined;
    hub.commit = second;
    assertEquals((await fetch()).commit, second);
    assertEquals(await namesIn(root), [".lock", second, "refs"]);
    hub.commit = first;
    assertEquals((await fetch()).commit, second); // from the cache
    assertEquals((await fetch(`owner/tiny@${first}`)).commit, first);
    assertEquals(await namesIn(root), [".lock", first, second, "refs"]);
  }));

test("fetchModel() fetches once for several requests at the same time", () =>
  withHub({}, async ({ hub, fetch }) => {
    const models = await Promise.all([fetch(), fetch(), fetch()]);
    assertEquals(models.map(({ fetched }) => fetched).filter(Boolean).length, 1);
    assertEquals(rangesOf(hub, SHARD), ["all"]);
  }));

test("fetchModel() says that the hub cannot be reached", () =>
  withHub({}, async ({ hub, refused }) => {
    await hub[Symbol.asyncDispose]();
    await refused(
      `owner/tiny: ${hub.address} cannot be reached (`,
    );
    await refused("give the folder of a model on this machine, or try again with a network");
  }));

/** Runs a child process on the scene's cache and returns its output. */
async function child(
  scene: Scene,
  { flags, shell = 'exec "$@"', environment = {} }: {
    readonly flags: readonly string[];
    readonly shell?: string;
    readonly environment?: Readonly<Record<string, string>>;
  },
): Promise<string> {
  const program = fileURLToPath(new URL("./hub_child.ts", import.meta.url));
  const config = fileURLToPath(new URL("../../../deno.json", import.meta.url));
  const run = [Deno.execPath(), "run", "--quiet", "--no-prompt", `--config=${config}`];
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", shell, "sh", ...run, ...flags, program],
    env: {
      XDG_CACHE_HOME: scene.cache,
      HF_ENDPOINT: scene.hub.address,
      // The packages stay in the usual cache.
      DENO_DIR: dirname(packageCacheFolder(Deno.env.toObject())),
      ...environment,
    },
  }).output();
  const said = new TextDecoder().decode(stdout).trim();
  return said === "" ? new TextDecoder().decode(stderr) : said;
}

const variables = "--allow-env=HOME,XDG_CACHE_HOME,HF_ENDPOINT,HF_TOKEN";
const files = ["--allow-read", "--allow-write"];
const network = "--allow-net=127.0.0.1";

testWithChildren(
  "fetchModel() names the flags that it lacks, and no others",
  () =>
    withHub({}, async (scene) => {
      const { host } = new URL(scene.hub.address);
      const root = join(scene.cache, "gradsink", "models", "owner--tiny");
      const action =
        `NotCapable: fetching owner/tiny from ${scene.hub.address}: missing permission, run again with`;
      assertEquals(
        await child(scene, { flags: [variables, ...files] }),
        `${action} --allow-net=${host}`,
      );
      assertEquals(
        await child(scene, { flags: [variables, "--allow-read", network] }),
        `${action} --allow-write=${root}`,
      );
      // The usual hub keeps large files on other servers, which need the permission, too.
      assertEquals(
        await child(scene, { flags: ["--allow-env=XDG_CACHE_HOME", ...files] }),
        "NotCapable: fetching owner/tiny from https://huggingface.co: missing permission, run again " +
          'with "--allow-net=huggingface.co,*.huggingface.co,*.hf.co"',
      );
      assertEquals(scene.hub.requests, []);
      assertEquals(await child(scene, { flags: [variables, ...files, network] }), "fetched");
      // A cached model needs neither the network nor write permission.
      assertEquals(await child(scene, { flags: [variables, "--allow-read"] }), "there");
    }),
);

testWithChildren(
  "fetchModel() reads the hub's address and the token from the environment",
  () =>
    withHub({ token: "hf_secret" }, async (scene) => {
      const flags = [variables, ...files, network];
      const told = (environment: Record<string, string>) => child(scene, { flags, environment });
      assertStringIncludes(await told({}), "is gated");
      assertStringIncludes(
        await told({ HF_ENDPOINT: "localhost" }),
        'HF_ENDPOINT is "localhost", wanted an address such as https://huggingface.co',
      );
      assertStringIncludes(
        await told({ HF_TOKEN: "secret" }),
        "HF_TOKEN is no token of the hub: those begin with hf_",
      );
      const token = { HF_TOKEN: "hf_secret" };
      const deaf = "--allow-env=HOME,XDG_CACHE_HOME,HF_ENDPOINT";
      assertStringIncludes(
        await child(scene, { flags: [deaf, ...files, network], environment: token }),
        "give a token of your account in the variable HF_TOKEN",
      );
      assertEquals(await told(token), "fetched");
    }),
);

testWithChildren(
  "fetchModel() says that there is no room, and resumes once there is",
  () =>
    withHub({}, async (scene) => {
      const flags = [variables, ...files, network];
      // Simulates a full disk: no file may exceed 16 KiB.
      const shell = `trap '' XFSZ; ulimit -f 32; exec "$@"`;
      const unfinished = join(
        scene.cache,
        "gradsink/models/owner--tiny",
        `.unfinished-${scene.hub.commit}`,
      );
      assertEquals(
        await child(scene, { flags, shell }),
        `CheckpointError: ${
          join(unfinished, "model-00001-of-00002.safetensors.part")
        }: cannot be written: File too large`,
      );
      scene.hub.requests.length = 0;
      assertEquals(await child(scene, { flags }), "fetched");
      assertEquals(rangesOf(scene.hub, "model-00001-of-00002.safetensors"), ["bytes=16384-32117"]);
    }),
);

Deno.test({
  name: "checkRoom() refuses files that the disk has no room for [needs --allow-sys=statfs]",
  ignore: !allowed ||
    (await Deno.permissions.query({ name: "sys", kind: "statfs" })).state !== "granted",
  fn: () =>
    inFolder(async (folder) => {
      const file = (size: number) => [{
        name: "a",
        size,
        digest: { type: "sha256", value: "" } as const,
      }];
      await checkRoom(folder, file(1000));
      const message = "the disk has room for ";
      const error = await assertRejects(
        () => checkRoom(folder, file(2 ** 60)),
        CheckpointError,
        message,
      );
      assertStringIncludes(error.message, "wanted 1152921504606.8 MB for the weights");
      // An already fetched part needs no room.
      await Deno.writeFile(join(folder, "a.part"), new Uint8Array());
      await Deno.truncate(join(folder, "a.part"), 2 ** 42);
      await checkRoom(folder, file(2 ** 42 + 1000));
    }),
});
