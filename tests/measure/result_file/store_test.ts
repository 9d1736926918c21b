import { assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { join } from "node:path";
import { MAXIMUM_FILE_BYTES } from "../../../src/files/file_error.ts";
import { readResultFile, writeResultFile } from "../../../src/measure/result_file/store.ts";
import { syntheticMeasurement, syntheticResultFile } from "../synthetic.ts";
import { namesIn, testOnDisk } from "../../support/folder.ts";
import { messageOf } from "../../support/assert/file_error.ts";

const test = testOnDisk();

test(
  "writeResultFile() writes what readResultFile() reads, and nothing else",
  async (folder) => {
    const path = join(folder, "a.json");
    const first = syntheticResultFile({ label: "ä😀" });
    const second = syntheticResultFile({ label: "second" });
    await writeResultFile(path, first);
    assertEquals(await readResultFile(path), first);
    await writeResultFile(path, second);
    assertEquals(await readResultFile(path), second);
    assertEquals(await namesIn(folder), ["a.json"]);
  },
);

test(
  "writeResultFile() leaves the older file when the new content is wrong",
  async (folder) => {
    const path = join(folder, "a.json");
    const first = syntheticResultFile();
    await writeResultFile(path, first);
    const wrong = syntheticResultFile({ measurements: [syntheticMeasurement({ samples: [-1] })] });
    assertStringIncludes(await messageOf(writeResultFile(path, wrong)), "samples[0] is -1");
    assertEquals(await readResultFile(path), first);
    assertEquals(await namesIn(folder), ["a.json"]);
  },
);

test("readResultFile() refuses folders, missing, huge and binary files", async (folder) => {
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
