/** Only one claim of a file can exist at a time, within one process and among processes. */
import { join } from "node:path";
import { claimFile, waitForLock } from "../../src/files/claim.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { messageOf } from "../support/assert/file_error.ts";
import { namesIn, testOnDisk, withoutLocks } from "../support/folder.ts";

const test = testOnDisk();

test("claimFile() gives a file to one at a time, whatever its name", async (folder) => {
  const path = join(folder, "a.json"), link = join(folder, "link");
  await Deno.writeTextFile(path, "kept");
  await Deno.symlink(path, link);
  const first = await claimFile(path);
  assert(first !== undefined);
  assertEquals([await claimFile(path), await claimFile(link)], [undefined, undefined]);
  const other = join(folder, "b.json");
  await Deno.writeTextFile(other, "");
  (await claimFile(other))![Symbol.dispose]();
  // Every write replaces the file by a new one; the claim must survive that.
  await Deno.writeTextFile(join(folder, "new"), "new");
  await Deno.rename(join(folder, "new"), path);
  assertEquals(await claimFile(path), undefined);
  first[Symbol.dispose]();
  const second = await claimFile(link);
  assert(second !== undefined);
  assertEquals(await claimFile(path), undefined);
  second[Symbol.dispose]();
  assertEquals((await namesIn(folder)).sort(), ["a.json", "b.json", "link"]);
});

test("claimFile() is not kept out by the lock of a process that was killed", async (folder) => {
  const path = join(folder, "a.json");
  await Deno.writeTextFile(path, "");
  await Deno.writeTextFile(join(folder, ".a.json.lock"), "");
  using claim = await claimFile(path);
  assert(claim !== undefined);
});

test("claimFile() never gives a file to two, however often claims end", async (folder) => {
  const path = join(folder, "a.json");
  await Deno.writeTextFile(path, "");
  let holders = 0, claims = 0;
  const worker = async () => {
    for (let i = 0; i < 200; i++) {
      const claim = await claimFile(path);
      if (claim === undefined) continue;
      assertEquals(++holders, 1);
      claims++;
      await Promise.resolve();
      holders--;
      claim[Symbol.dispose]();
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  assert(claims > 0);
  assertEquals(await namesIn(folder), ["a.json"]);
});

test("claimFile() says which file it cannot lock", async (folder) => {
  const message = await messageOf(claimFile(join(folder, "missing.json")));
  assertStringIncludes(message, "missing.json: cannot be locked: no such file");
});

test("claimFile() and waitForLock() go on where the file system has no locks", (folder) =>
  withoutLocks(async () => {
    const path = join(folder, "a.json");
    await Deno.writeTextFile(path, "");
    using file = await Deno.open(path, { write: true });
    await waitForLock(file);
    using claim = await claimFile(path);
    assert(claim !== undefined);
  }));
