/** Downloads that break off, stall, or bring wrong bytes. */
import { join } from "node:path";
import { assert, assertEquals } from "../../../support/assert/assert.ts";
import { namesIn } from "../../../support/folder.ts";
import {
  filesOf,
  MODEL,
  rangesOf,
  SHARD,
  testWithHub,
  withHub,
} from "../../../support/model/hub_scene.ts";

testWithHub(
  "fetchModel() resumes after a broken connection, in the same run and in the next one",
  () =>
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
    }, filesOf({ shards: 1 })),
);

testWithHub(
  "fetchModel() asks again if a download stalls",
  () =>
    withHub({ stallAfter: 30_000 }, async ({ hub, fetch }) => {
      const { folder } = await fetch("owner/tiny", { patience: 100 });
      assertEquals(await Deno.readFile(join(folder, SHARD)), hub.files.get(SHARD));
      assertEquals(rangesOf(hub, SHARD), ["all", "bytes=30000-40198"]);
    }),
);

testWithHub(
  "fetchModel() starts over if a hub sends wrong bytes, and gives up the second time",
  () =>
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
    }),
);

testWithHub(
  "fetchModel() notices an earlier run's leftovers of another file",
  () =>
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
    }),
);

testWithHub(
  "fetchModel() starts over if a hub ignores ranges",
  () =>
    withHub({ breakAfter: 30_000, ignoreRange: true }, async ({ hub, fetch }) => {
      let waits = 0;
      const { folder } = await fetch("owner/tiny", {
        delay: () => {
          if (++waits === 3) hub.behavior.breakAfter = undefined;
          return Promise.resolve();
        },
      });
      assertEquals(await Deno.readFile(join(folder, SHARD)), hub.files.get(SHARD));
    }),
);

testWithHub(
  "fetchModel() gives up if a hub neither honors ranges nor sends a whole file",
  () =>
    withHub(
      { breakAfter: 30_000, ignoreRange: true },
      ({ refused }) =>
        refused("model-00001-of-00002.safetensors are there; the next run goes on from them)"),
    ),
);

testWithHub(
  "fetchModel() asks again if a hub is busy",
  () =>
    withHub({ refuse: { status: 503 }, refusals: 3 }, async ({ hub, fetch }) => {
      const { folder } = await fetch();
      assertEquals(await Deno.readFile(join(folder, SHARD)), hub.files.get(SHARD));
      assertEquals(hub.requests.filter((path) => path.includes("/revision/main")).length, 4);
    }),
);
