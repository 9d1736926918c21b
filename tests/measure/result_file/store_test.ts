import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "../../support/assert/assert.ts";
import { join } from "node:path";
import { FileError, MAXIMUM_FILE_BYTES } from "../../../src/files/file_error.ts";
import { checkWritable, writeTextFile } from "../../../src/files/write.ts";
import { readResultFile, writeResultFile } from "../../../src/measure/result_file/store.ts";
import { syntheticMeasurement, syntheticResultFile } from "../synthetic.ts";

const granted = (await Promise.all(
  (["read", "write"] as const).map((name) => Deno.permissions.query({ name })),
)).every(({ state }) => state === "granted");

function testOnDisk(name: string, body: (folder: string) => Promise<void>): void {
  Deno.test({
    name: granted ? name : `${name} (needs --allow-read --allow-write)`,
    ignore: !granted,
    async fn() {
      const folder = await Deno.makeTempDir();
      try {
        await body(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => promise, FileError) as Error;
  assert(!error.message.includes("\n"), "one line");
  return error.message;
}

testOnDisk(
  "writeResultFile() writes what readResultFile() reads, and nothing else",
  async (folder) => {
    const path = join(folder, "a.json");
    const first = syntheticResultFile({ label: "ä😀" });
    const second = syntheticResultFile({ label: "second" });
    await writeResultFile(path, first);
    assertEquals(await readResultFile(path), first);
    await writeResultFile(path, second);
    assertEquals(await readResultFile(path), second);
    assertEquals(await names(folder), ["a.json"]);
  },
);

testOnDisk(
  "writeResultFile() leaves the older file when the new content is wrong",
  async (folder) => {
    const path = join(folder, "a.json");
    const first = syntheticResultFile();
    await writeResultFile(path, first);
    const wrong = syntheticResultFile({ measurements: [syntheticMeasurement({ samples: [-1] })] });
    assertStringIncludes(await messageOf(writeResultFile(path, wrong)), "samples[0] is -1");
    assertEquals(await readResultFile(path), first);
    assertEquals(await names(folder), ["a.json"]);
  },
);

testOnDisk("writeTextFile() refuses folders, missing folders and devices", async (folder) => {
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
  assertEquals(await names(folder), ["file"]);
});

testOnDisk(
  "checkWritable() makes the folder that a file will go to, and nothing else",
  async (folder) => {
    const path = join(folder, "new", "deep", "a.json");
    await checkWritable(path);
    assertEquals(await names(join(folder, "new")), ["deep"]);
    assertEquals(await names(join(folder, "new", "deep")), []);
    await writeTextFile(path, "x");
    assertEquals(await Deno.readTextFile(path), "x");
  },
);

testOnDisk(
  "writeTextFile() removes its temporary file when the last step fails",
  async (folder) => {
    const path = join(folder, "a.json");
    await Deno.writeTextFile(path, "older");
    const { rename } = Deno;
    let seen: string[] = [];
    Deno.rename = async () => {
      seen = await names(folder);
      throw new Error("the disk is on fire");
    };
    try {
      assertStringIncludes(await messageOf(writeTextFile(path, "x")), "the disk is on fire");
    } finally {
      Deno.rename = rename;
    }
    assertEquals(seen.length, 2);
    assertEquals(await names(folder), ["a.json"]);
    assertEquals(await Deno.readTextFile(path), "older");
    // Longer than file systems take.
    assertStringIncludes(
      await messageOf(writeTextFile(path + "x".repeat(300), "x")),
      "cannot be written",
    );
  },
);

testOnDisk("writeTextFile() follows a symbolic link instead of replacing it", async (folder) => {
  await Deno.writeTextFile(join(folder, "real"), "old");
  await Deno.symlink(join(folder, "real"), join(folder, "link"));
  await writeTextFile(join(folder, "link"), "new");
  assertEquals(await Deno.readTextFile(join(folder, "real")), "new");
  assert((await Deno.lstat(join(folder, "link"))).isSymlink);
});

testOnDisk("checkWritable() leaves nothing behind", async (folder) => {
  await checkWritable(join(folder, "a.html"));
  assertEquals(await names(folder), []);
});

testOnDisk("readResultFile() refuses folders, missing, huge and binary files", async (folder) => {
  const write = async (name: string, content: Uint8Array) => {
    await Deno.writeFile(join(folder, name), content);
    return join(folder, name);
  };
  assertStringIncludes(await messageOf(readResultFile(folder)), "is a folder");
  assertStringIncludes(
    await messageOf(readResultFile(join(folder, "a\u001bb"))),
    "a\\u001bb: cannot be read",
  );
  const huge = await write("huge", new Uint8Array(MAXIMUM_FILE_BYTES + 1));
  assertStringIncludes(await messageOf(readResultFile(huge)), "larger than 16 MiB");
  const binary = await write("binary", new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0xff]));
  assertStringIncludes(await messageOf(readResultFile(binary)), "not UTF-8");
  const empty = await write("empty", new Uint8Array());
  assertStringIncludes(await messageOf(readResultFile(empty)), "is empty");
  if (Deno.build.os !== "windows") {
    assertStringIncludes(await messageOf(readResultFile("/dev/zero")), "larger than 16 MiB");
  }
});
