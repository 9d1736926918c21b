import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { join } from "node:path";
import { checkWritable, createTextFile, writeTextFile } from "../../src/files/write.ts";
import { namesIn, testOnDisk } from "../support/folder.ts";
import { messageOf } from "../support/assert/file_error.ts";

const test = testOnDisk();

test("writeTextFile() refuses folders, missing folders and devices", async (folder) => {
  await Deno.writeTextFile(join(folder, "file"), "x");
  assertStringIncludes(await messageOf(writeTextFile(folder, "x")), "is a folder");
  for (const path of ["missing/a.json", "file/a.json", "new/"]) {
    assertStringIncludes(
      await messageOf(writeTextFile(join(folder, path), "x")),
      "cannot be written",
    );
    if (path.startsWith("missing")) continue;
    assertStringIncludes(await messageOf(checkWritable(join(folder, path))), "cannot be written");
  }
  assertStringIncludes(await messageOf(writeTextFile("", "x")), "the name is empty");
  if (Deno.build.os !== "windows") {
    assertStringIncludes(await messageOf(writeTextFile("/dev/null", "x")), "not a regular file");
    assert((await Deno.stat("/dev/null")).isCharDevice);
  }
  assertEquals(await namesIn(folder), ["file"]);
});

test(
  "checkWritable() makes the folder that a file will go to, and nothing else",
  async (folder) => {
    const path = join(folder, "new", "deep", "a.json");
    await checkWritable(path);
    assertEquals(await namesIn(join(folder, "new")), ["deep"]);
    assertEquals(await namesIn(join(folder, "new", "deep")), []);
    await writeTextFile(path, "x");
    assertEquals(await Deno.readTextFile(path), "x");
  },
);

test("createTextFile() lets one of many writers create a file, with and without links", async (folder) => {
  const { link } = Deno;
  try {
    for (const name of ["linked", "renamed"]) {
      const path = join(folder, name);
      if (name === "renamed") {
        Deno.link = () => Promise.reject(new Deno.errors.NotSupported("no links here"));
      }
      const texts = Array.from({ length: 8 }, (_, i) => `writer ${i}`);
      const created = await Promise.all(texts.map((text) => createTextFile(path, text)));
      assertEquals(created.filter((each) => each).length, 1);
      assertEquals(await Deno.readTextFile(path), texts[created.indexOf(true)]);
      assertEquals(await createTextFile(path, "later"), false);
    }
  } finally {
    Deno.link = link;
  }
  assertEquals((await namesIn(folder)).toSorted(), ["linked", "renamed"]);
});

test("createTextFile() has created a file even if its temporary name stays", async (folder) => {
  const { remove } = Deno;
  Deno.remove = () => Promise.reject(new Error("no removals here"));
  try {
    assertEquals(await createTextFile(join(folder, "a"), "x"), true);
    assertEquals(await createTextFile(join(folder, "a"), "y"), false);
  } finally {
    Deno.remove = remove;
  }
  assertEquals(await Deno.readTextFile(join(folder, "a")), "x");
});

test(
  "writeTextFile() removes its temporary file when the last step fails",
  async (folder) => {
    const path = join(folder, "a.json");
    await Deno.writeTextFile(path, "older");
    const { rename } = Deno;
    let seen: string[] = [];
    Deno.rename = async () => {
      seen = await namesIn(folder);
      throw new Error("the disk is on fire");
    };
    try {
      assertStringIncludes(await messageOf(writeTextFile(path, "x")), "the disk is on fire");
    } finally {
      Deno.rename = rename;
    }
    assertEquals(seen.length, 2);
    assertEquals(await namesIn(folder), ["a.json"]);
    assertEquals(await Deno.readTextFile(path), "older");
    // A file name longer than file systems allow.
    assertStringIncludes(
      await messageOf(writeTextFile(path + "x".repeat(300), "x")),
      "cannot be written",
    );
  },
);

test("writeTextFile() follows a symbolic link instead of replacing it", async (folder) => {
  await Deno.writeTextFile(join(folder, "real"), "old");
  await Deno.symlink(join(folder, "real"), join(folder, "link"));
  await writeTextFile(join(folder, "link"), "new");
  assertEquals(await Deno.readTextFile(join(folder, "real")), "new");
  assert((await Deno.lstat(join(folder, "link"))).isSymlink);
});

test("checkWritable() leaves nothing behind", async (folder) => {
  await checkWritable(join(folder, "a.html"));
  assertEquals(await namesIn(folder), []);
});
