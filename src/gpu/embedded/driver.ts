/**
 * A software Vulkan driver for machines that have none: SwiftShader, fetched once into the user's
 * cache.
 *
 * It comes from the npm package `@sparticuz/chromium` and needs no Vulkan on the machine, not even
 * a loader. Only one archive of the package is read; its code never runs. It works on x64 Linux
 * with glibc only.
 *
 * The permissions that `deno run`, `deno test` and `deno bench` need at least:
 *
 * - `--allow-env=HOME,XDG_CACHE_HOME,DENO_DIR,VK_DRIVER_FILES,VK_ICD_FILENAMES` to find the caches
 *   and to point the loader at the driver
 * - `--allow-read=$HOME/.cache/gradsink,$HOME/.cache/deno/npm` to read the driver and, only the
 *   first time, Deno's packages
 * - `--allow-write=$HOME/.cache/gradsink` to write the driver, only the first time
 * - `--allow-ffi=$HOME/.cache/gradsink` to open the driver's own loader
 *
 * If `$XDG_CACHE_HOME` is set, it replaces `$HOME/.cache`; if `$DENO_DIR` is set, it replaces the
 * cache's `deno` folder. Deno fetches npm packages without a network permission. Dawn is itself a
 * library among Deno's packages, so it needs
 * `--allow-ffi=$HOME/.cache/gradsink,$HOME/.cache/deno/npm`. If `--allow-ffi` has a list of paths,
 * no library can be opened by its bare name. So the system's loader is tried only under
 * `--allow-ffi` without a list.
 *
 * A project that uses this file should set `"lock": false` or pass `--no-lock`. Otherwise Deno adds
 * the fetched package to `deno.lock`, and then fetches it wherever that lockfile is used. If the
 * lockfile is frozen and does not list the package, Deno refuses to fetch it.
 *
 * Licenses: Apache-2.0 for SwiftShader and the Khronos Vulkan loader; MIT for the package that
 * carries them and for modern-tar, which unpacks them.
 */
import {
  driverFileHashes,
  embeddedPackage,
  ICD_FILE,
  LOADER_FILE,
  unpackDriver,
} from "./archive.ts";
import { sha256 } from "../../sha256.ts";
import { packageCacheFolder, projectCacheFolder } from "../../files/cache_folder.ts";
import { driverFolderName } from "./folder_name.ts";
import {
  DRIVER_VARIABLES,
  FOLDER_VARIABLES,
  hasPermissions,
  type PermissionNeed,
  requirePermissions,
} from "../../permissions.ts";

/** A complete and verified driver on disk. */
export interface EmbeddedDriver {
  /** The folder that holds its files. */
  readonly folder: string;
  /** The driver's description, for `VK_DRIVER_FILES`. */
  readonly icdFile: string;
  /** The loader from the same package, for machines without one. */
  readonly loaderFile: string;
}

/** Options of {@linkcode installEmbeddedDriver}. */
export interface InstallOptions {
  /**
   * The folder that holds the driver's folder, as an absolute path. Default: `gradsink` in the
   * user's cache folder.
   */
  readonly cacheFolder?: string;
  /** Called with the one line that announces the download. Default: prints it to stderr. */
  readonly notice?: (line: string) => void;
}

const ADVICE =
  "install Mesa's lavapipe 25 or later instead (Debian packages mesa-vulkan-drivers and libvulkan1)";

/**
 * Installs the embedded driver in the user's cache.
 *
 * If the cache has the driver's files with the pinned SHA-256, this function returns at once: it
 * neither uses the network nor prints. Otherwise it fetches and verifies the package, writes a
 * temporary folder, and renames the files into place. So several processes may install at once, and
 * a killed installation leaves nothing that looks complete.
 *
 * @param options where to install it, and how to announce the download
 * @returns the driver, to be passed to {@linkcode activateEmbeddedDriver}
 * @throws {Error} on platforms other than x64 Linux with glibc; if the package cannot be fetched,
 *   has another hash than the pinned one, or cannot be written to the cache
 * @throws {Deno.errors.NotCapable} that names the missing permissions' flags
 * @throws {TypeError} if `cacheFolder` is not an absolute path
 */
export async function installEmbeddedDriver(options: InstallOptions = {}): Promise<EmbeddedDriver> {
  requirePlatform();
  const action = "installEmbeddedDriver";
  const { root, packages } = locate(options.cacheFolder);
  const folder = `${root}/${driverFolderName()}`;
  const driver: EmbeddedDriver = {
    folder,
    icdFile: `${folder}/${ICD_FILE}`,
    loaderFile: `${folder}/${LOADER_FILE}`,
  };
  const use: PermissionNeed[] = [{ name: "read", value: root }, ...activationNeeds(driver)];
  if (hasPermissions(use) && await isComplete(folder)) return driver;

  requirePermissions([
    ...use,
    { name: "read", value: packages },
    { name: "write", value: root },
  ], { action });
  const megabytes = Math.round(embeddedPackage.downloadBytes / 1e6);
  (options.notice ?? console.error)(
    `gradsink: no usable GPU driver; fetching the SwiftShader software driver (npm:${embeddedPackage.specifier}, ` +
      `about ${megabytes} MB) into ${folder}, once`,
  );
  const files = await unpackDriver(await fetchArchive());
  try {
    await place(files, { root, folder });
  } catch (error) {
    throw new Error(
      `Embedded driver: cannot write ${folder}: ${
        messageOf(error)
      }; make it writable, or ${ADVICE}`,
      { cause: error },
    );
  }
  if (!await isComplete(folder)) {
    throw new Error(
      `Embedded driver: the files in ${folder} changed while they were installed; delete the folder and try again`,
    );
  }
  return driver;
}

// Keeps loaders from being closed or garbage-collected. WebGPU later opens the loader by its name,
// and finds the embedded loader only while that is open.
const openLoaders: Deno.DynamicLibrary<Record<never, never>>[] = [];

/**
 * Points Vulkan at the embedded driver, and opens the embedded loader if the machine has none.
 *
 * Call this function before the isolate's first `requestAdapter`: the isolate keeps the drivers
 * that this first request finds. The change affects every runtime in the process, Dawn included.
 *
 * @param driver what {@linkcode installEmbeddedDriver} returned
 * @throws {Deno.errors.NotCapable} that names the missing permissions' flags
 * @throws {Error} if the loader cannot be opened, or this is not Deno on x64 Linux
 */
export function activateEmbeddedDriver(driver: EmbeddedDriver): void {
  requirePlatform();
  requirePermissions(activationNeeds(driver), { action: "activateEmbeddedDriver" });
  for (const variable of DRIVER_VARIABLES) Deno.env.set(variable, driver.icdFile);
  openLoaders.push(openSystemLoader() ?? openOwnLoader(driver.loaderFile));
}

function openSystemLoader(): Deno.DynamicLibrary<Record<never, never>> | undefined {
  // If `--allow-ffi` has a list of paths, Deno looks for a bare name in the working directory and
  // finds nothing.
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  try {
    return Deno.dlopen(LOADER_FILE, {});
  } catch {
    return undefined; // The machine has no loader; the caller opens ours.
  }
}

// WebGPU later opens `libvulkan.so.1` by name, and then gets the library that is already open under
// this name (its SONAME).
function openOwnLoader(loaderFile: string): Deno.DynamicLibrary<Record<never, never>> {
  try {
    return Deno.dlopen(loaderFile, {});
  } catch (error) {
    throw new Error(
      `Embedded driver: cannot open ${loaderFile}: ${messageOf(error)}; it needs glibc, ${ADVICE}`,
      { cause: error },
    );
  }
}

function activationNeeds(driver: EmbeddedDriver): PermissionNeed[] {
  return [
    ...DRIVER_VARIABLES.map((value) => ({ name: "env" as const, value })),
    { name: "ffi", value: driver.loaderFile },
  ];
}

function requirePlatform(): void {
  const here = typeof Deno === "undefined" ? "not Deno" : `Deno on ${Deno.build.target}`;
  if (typeof Deno !== "undefined" && Deno.build.target === "x86_64-unknown-linux-gnu") return;
  throw new Error(
    `Embedded driver: works only in Deno on x86_64-unknown-linux-gnu, this is ${here}; ` +
      `install the GPU's own driver instead, or on Linux Mesa's lavapipe 25 or later`,
  );
}

function locate(cacheFolder: string | undefined): { root: string; packages: string } {
  if (cacheFolder !== undefined && !cacheFolder.startsWith("/")) {
    throw new TypeError(
      `installEmbeddedDriver: cacheFolder is ${
        JSON.stringify(cacheFolder)
      }, wanted an absolute path`,
    );
  }
  const variables = FOLDER_VARIABLES.map((value) => ({ name: "env" as const, value }));
  if (!hasPermissions(variables)) {
    // Without these permissions the cache folders are unknown. So the flags in the error's message
    // have `$HOME` in place of the home folder.
    const root = cacheFolder ?? "$HOME/.cache/gradsink";
    requirePermissions([
      ...variables,
      ...DRIVER_VARIABLES.map((value) => ({ name: "env" as const, value })),
      { name: "read", value: root },
      { name: "read", value: "$HOME/.cache/deno/npm" },
      { name: "write", value: root },
      { name: "ffi", value: root },
    ], { action: "installEmbeddedDriver" });
  }
  const environment = Object.fromEntries(
    FOLDER_VARIABLES.map((name) => [name, Deno.env.get(name)]),
  );
  return {
    root: cacheFolder?.replace(/\/+$/, "") ?? projectCacheFolder(environment),
    packages: packageCacheFolder(environment),
  };
}

async function isComplete(folder: string): Promise<boolean> {
  for (const [name, expected] of driverFileHashes) {
    const bytes = await Deno.readFile(`${folder}/${name}`).catch(() => undefined);
    if (bytes === undefined || await sha256(bytes) !== expected) return false;
  }
  return true;
}

async function fetchArchive(): Promise<Uint8Array<ArrayBuffer>> {
  // Joined at run time: Deno fetches a literal specifier as soon as it loads this module.
  const specifier = ["npm:", embeddedPackage.specifier].join("");
  try {
    // Importing a JSON file makes Deno fetch the package without running any of its code.
    await import(`${specifier}/package.json`, { with: { type: "json" } });
  } catch (error) {
    throw new Error(
      `Embedded driver: cannot fetch ${specifier}: ${
        messageOf(error)
      }; connect the machine to the network once, or ${ADVICE}`,
      { cause: error },
    );
  }
  const archive = new URL(import.meta.resolve(`${specifier}/${embeddedPackage.archivePath}`));
  if (archive.protocol !== "file:") {
    throw new Error(
      `Embedded driver: cannot locate the package: Deno resolves it to ${archive}, wanted a file`,
    );
  }
  // The path comes from Deno, because the package lies elsewhere in a project with a node_modules
  // folder.
  const { fileURLToPath } = await import("node:url"); // Not above: browsers load this module too.
  const path = fileURLToPath(archive);
  requirePermissions([{ name: "read", value: path }], { action: "installEmbeddedDriver" });
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new Error(
      `Embedded driver: cannot read ${path}: ${
        messageOf(error)
      }; delete Deno's copy of the package and try again`,
      { cause: error },
    );
  }
}

interface Destination {
  readonly root: string;
  readonly folder: string;
}

async function place(
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
  { root, folder }: Destination,
): Promise<void> {
  await Deno.mkdir(root, { recursive: true });
  await removeAbandoned(root);
  const temporary = `${root}/.${driverFolderName()}-${crypto.randomUUID()}.tmp`;
  await Deno.mkdir(temporary);
  try {
    for (const [name, bytes] of files) {
      await Deno.writeFile(`${temporary}/${name}`, bytes, { createNew: true });
    }
    try {
      await Deno.rename(temporary, folder);
      return;
    } catch (error) {
      const present = await Deno.lstat(folder).catch(() => undefined);
      if (present?.isDirectory !== true) throw error;
    }
    // The folder exists: another process was faster, or an earlier installation is damaged. If it
    // is damaged, replace its files one by one. A rename never leaves a file missing or partly
    // written, and a process that has opened the old file keeps it.
    if (await isComplete(folder)) return;
    for (const name of files.keys()) {
      await Deno.rename(`${temporary}/${name}`, `${folder}/${name}`);
    }
  } finally {
    await Deno.remove(temporary, { recursive: true }).catch(() => {}); // Gone after a rename.
  }
}

// No installation takes an hour, so an older temporary folder belongs to a killed installation.
const ABANDONED_AFTER_MS = 3_600_000;

async function removeAbandoned(root: string): Promise<void> {
  for await (const entry of Deno.readDir(root)) {
    if (!entry.isDirectory || !/^\.swiftshader-.*\.tmp$/.test(entry.name)) continue;
    const path = `${root}/${entry.name}`;
    const modified = (await Deno.lstat(path).catch(() => undefined))?.mtime?.getTime();
    if (modified === undefined || Date.now() - modified < ABANDONED_AFTER_MS) continue;
    await Deno.remove(path, { recursive: true }).catch(() => {}); // Another process was faster.
  }
}

// Returns the first two lines of an error's message. In Deno's messages the second line gives the
// cause, and a whole lockfile may follow.
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 2).map((line) => line.trim()).join(" ");
}
