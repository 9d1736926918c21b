/** The embedded driver's archive: only the pinned one is unpacked, and only its expected files. */
import { packTar, type TarEntry } from "modern-tar";
import {
  driverFileHashes,
  embeddedPackage,
  readDriverTar,
  unpackDriver,
  verifySha256,
} from "../../../src/gpu/embedded/archive.ts";
import { sha256 } from "../../../src/sha256.ts";
import { assertEquals, assertRejects, assertStringIncludes } from "../../support/assert/assert.ts";

Deno.test("verifySha256() refuses one changed bit, with both hashes", async () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i);
  const expected = await sha256(bytes);
  await verifySha256(bytes, { name: "it", expected });
  bytes[500]! ^= 1;
  const error = await assertRejects(() => verifySha256(bytes, { name: "it", expected }), Error);
  assertStringIncludes(error.message, expected);
  assertStringIncludes(error.message, await sha256(bytes));
});

Deno.test("unpackDriver() refuses an archive that is not the pinned one", async () => {
  const error = await assertRejects(() => unpackDriver(new Uint8Array(8)), Error);
  assertStringIncludes(error.message, embeddedPackage.archiveSha256);
  assertStringIncludes(error.message, await sha256(new Uint8Array(8)));
});

function fileEntry(name: string, body = `contents of ${name}`): TarEntry {
  return { header: { name, size: new TextEncoder().encode(body).length, type: "file" }, body };
}

function expectedEntries(): TarEntry[] {
  return [...driverFileHashes.keys()].map((name) => fileEntry(name));
}

Deno.test("readDriverTar() reads the driver's files and skips ANGLE's", async () => {
  const tar = await packTar([
    fileEntry("libEGL.so"),
    ...expectedEntries(),
    fileEntry("libGLESv2.so"),
  ]);
  const files = await readDriverTar(tar);
  assertEquals([...files.keys()].sort(), [...driverFileHashes.keys()].sort());
  for (const [name, bytes] of files) {
    assertEquals(new TextDecoder().decode(bytes), `contents of ${name}`);
  }
});

for (
  const name of [
    "../libvulkan.so.1",
    "/libvulkan.so.1",
    "./libvulkan.so.1",
    "folder/libvulkan.so.1",
    "libvulkan.so.1/",
    "libvulkan.so.2",
    "../../.bashrc",
  ]
) {
  Deno.test(`readDriverTar() refuses an entry named ${name}`, async () => {
    const tar = await packTar([...expectedEntries(), fileEntry(name)]);
    const error = await assertRejects(() => readDriverTar(tar), Error);
    assertStringIncludes(error.message, JSON.stringify(name));
  });
}

for (const type of ["symlink", "link", "directory"] as const) {
  Deno.test(`readDriverTar() refuses a ${type} under an expected name`, async () => {
    const [first, ...rest] = expectedEntries();
    const header = { name: first!.header.name, size: 0, type, linkname: "/etc/passwd" };
    const tar = await packTar([{ header }, ...rest]);
    await assertRejects(() => readDriverTar(tar), Error, "is not a regular file");
  });
}

Deno.test("readDriverTar() refuses a file that occurs twice", async () => {
  const tar = await packTar([...expectedEntries(), expectedEntries()[0]!]);
  await assertRejects(() => readDriverTar(tar), Error, "occurs twice");
});

Deno.test("readDriverTar() refuses an archive that lacks a file", async () => {
  for (const missing of driverFileHashes.keys()) {
    const tar = await packTar(expectedEntries().filter(({ header }) => header.name !== missing));
    await assertRejects(() => readDriverTar(tar), Error, `lacks "${missing}"`);
  }
});

Deno.test("readDriverTar() refuses a damaged header and a truncated archive", async () => {
  const tar = await packTar(expectedEntries());
  const damaged = tar.slice();
  damaged[136]! ^= 1; // a byte of the modification time, which only the checksum protects
  await assertRejects(() => readDriverTar(damaged), Error, "damaged");
  await assertRejects(() => readDriverTar(tar.slice(0, 520)), Error, "damaged");
});
