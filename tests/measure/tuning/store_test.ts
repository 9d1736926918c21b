import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { namesIn, testOnDisk } from "../../support/folder.ts";

const testStore = testOnDisk("run", "env");

const child = fileURLToPath(new URL("./store_child.ts", import.meta.url));

// Runs store_child.ts with the folder as its cache; returns what it prints.
async function run(folder: string, ...args: readonly (string | number)[]): Promise<string[]> {
  const usual = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-lock", "--no-check", "-A", child, ...args.map(String)],
    env: { XDG_CACHE_HOME: folder, DENO_DIR: Deno.env.get("DENO_DIR") ?? `${usual}/deno` },
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert(text !== "", new TextDecoder().decode(stderr));
  return JSON.parse(text);
}

// The only file of choices in a test's cache.
async function keptFile(folder: string): Promise<string> {
  const kept = await namesIn(`${folder}/gradsink/tuning`);
  assertEquals(kept.length, 1, kept.join());
  return `${folder}/gradsink/tuning/${kept[0]}`;
}

testStore(
  "storeTuning() loses nothing if several processes store choices at once",
  async (folder) => {
    await Promise.all([
      run(folder, "keep", 0, 9),
      run(folder, "keep", 9, 9),
      run(folder, "keep", 18, 9),
    ]);
    const kept = await run(folder, "list");
    assertEquals([kept.length, new Set(kept).size], [27, 27]);
    await keptFile(folder); // throws if a temporary file is left
  },
);

testStore(
  "storeTuning() keeps the stored choices if the disk is full, and says so",
  async (folder) => {
    const before = await run(folder, "keep", 0, 2);
    const file = await keptFile(folder);
    const text = await Deno.readTextFile(file);
    const [message] = await run(folder, "full", 2, 1);
    assertEquals(message, `${file}: cannot be written: No space left on device`);
    assertEquals(await Deno.readTextFile(await keptFile(folder)), text);
    assertEquals((await run(folder, "list")).sort(), before.sort());
  },
);

testStore("storeTuning() says which folder it cannot make", async (folder) => {
  await Deno.writeTextFile(`${folder}/gradsink`, "");
  const [message] = await run(folder, "keep", 0, 1);
  assertStringIncludes(message!, `${folder}/gradsink/tuning: cannot be written: `);
});

testStore("storeTuning() replaces anything but a file, and follows no link", async (folder) => {
  await run(folder, "keep", 0, 1);
  const file = await keptFile(folder);
  const other = `${folder}/other`;
  await Deno.writeTextFile(other, "mine");
  const poisons: readonly (() => Promise<unknown>)[] = [
    () => Deno.symlink(other, file),
    () => Deno.symlink(file, file),
    () => Deno.symlink("/dev/null", file),
    () => new Deno.Command("mkfifo", { args: [file] }).output(),
  ];
  for (const poison of poisons) {
    await Deno.remove(file);
    await poison();
    assertEquals((await run(folder, "keep", 3, 1)).length, 1);
    assert((await Deno.lstat(file)).isFile);
  }
  assertEquals(await Deno.readTextFile(other), "mine");
  await Deno.remove(file);
  await Deno.mkdir(file);
  assertEquals(await run(folder, "keep", 3, 1), [
    `${file}: cannot be written: is a folder, wanted a file`,
  ]);
});

testStore(
  "storeTuning() starts afresh if the file is damaged or of another version",
  async (folder) => {
    await run(folder, "keep", 0, 3);
    const file = await keptFile(folder);
    const sound = await Deno.readTextFile(file);
    for (
      const text of [
        sound.replace("tuning/1", "tuning/2"),
        sound.slice(0, 500),
        "",
        "\0".repeat(1e6),
      ]
    ) {
      await Deno.writeTextFile(file, text);
      assertEquals(await run(folder, "list"), []);
      assertEquals((await run(folder, "keep", 3, 1)).length, 1);
    }
  },
);
