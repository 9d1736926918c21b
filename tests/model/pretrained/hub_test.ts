/** What fetchModel() fetches and refuses, and where it keeps models. */
import { join } from "node:path";
import { isHubName } from "../../../src/model/pretrained/hub.ts";
import { openWeights } from "../../../src/model/pretrained/weights.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { namesIn } from "../../support/folder.ts";
import { CONFIGS } from "../../support/model/configs.ts";
import type { HubBehavior } from "../../support/model/hub.ts";
import { filesOf, rangesOf, SHARD, testWithHub, withHub } from "../../support/model/hub_scene.ts";

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

testWithHub(
  "fetchModel() fetches what is needed, once, and opens like any folder",
  () =>
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
    }),
);

testWithHub(
  "fetchModel() says what a hub's refusal means",
  () =>
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
    }),
);

testWithHub(
  "fetchModel() sends the token only to the hub",
  () =>
    withHub({ token: "hf_secret", redirectFrom: 10_000 }, async ({ hub, fetch, refused }) => {
      await refused("is gated");
      const { address } = hub;
      const access = { address, token: "hf_secret", hosts: [new URL(address).host] };
      const { folder } = await fetch("owner/tiny", { access });
      assertEquals(await Deno.readFile(join(folder, SHARD)), hub.files.get(SHARD));
      assertEquals(hub.leaked, []);
    }),
);

testWithHub("fetchModel() refuses an unsupported model before it fetches the weights", async () => {
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

testWithHub(
  "fetchModel() refuses a commit that leads out of the cache",
  () =>
    withHub({}, async ({ hub, refused, root }) => {
      hub.commit = "../../other";
      await refused('says that its commit is "../../other", wanted 40 hexadecimal digits');
      assertEquals(await namesIn(root), [".lock"]);
    }),
);

testWithHub("fetchModel() refuses an index that leads out of the folder", async () => {
  const files = await filesOf();
  const index = { weight_map: { a: "../other.safetensors" } };
  files.set("model.safetensors.index.json", new TextEncoder().encode(JSON.stringify(index)));
  await withHub(
    {},
    ({ refused }) => refused('"a" is in "../other.safetensors", wanted the name'),
    Promise.resolve(files),
  );
});

testWithHub(
  "fetchModel() keeps each commit, and removes unfinished downloads of commits that are gone",
  () =>
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
    }),
);

testWithHub(
  "fetchModel() takes a commit from the cache, if another name of it is new",
  () =>
    withHub({}, async ({ hub, fetch, root }) => {
      const { folder, commit } = await fetch(`owner/tiny@${hub.commit}`);
      hub.requests.length = 0;
      assertEquals(await fetch(), { folder, commit, fetched: false });
      assertEquals(hub.requests.filter((each) => each.includes("/resolve/")), []);
      assertEquals(await Deno.readTextFile(join(root, "refs", "main")), commit);
    }),
);

testWithHub(
  "fetchModel() fetches once for several requests at the same time",
  () =>
    withHub({}, async ({ hub, fetch }) => {
      const models = await Promise.all([fetch(), fetch(), fetch()]);
      assertEquals(models.map(({ fetched }) => fetched).filter(Boolean).length, 1);
      assertEquals(rangesOf(hub, SHARD), ["all"]);
    }),
);

testWithHub(
  "fetchModel() says that the hub cannot be reached",
  () =>
    withHub({}, async ({ hub, refused }) => {
      await hub[Symbol.asyncDispose]();
      await refused(
        `owner/tiny: ${hub.address} cannot be reached (`,
      );
      await refused("give the folder of a model on this machine, or try again with a network");
    }),
);
