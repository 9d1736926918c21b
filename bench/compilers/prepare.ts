/**
 * Puts the drivers into a folder, by default in the user's cache. Mesa's drivers and the libraries
 * that simulate devices are packages of Debian and Ubuntu. Two libraries are built here: the one
 * that simulates Intel's devices, and the layer that reads the compilers' reports.
 */
import { fileURLToPath } from "node:url";
import { sha256 } from "../../src/sha256.ts";
import { findArchive, parseSystem, PrivateApt, type System } from "./apt.ts";
import type { PretendedGpu } from "./gpus.ts";
import { hasProgram, runProgram } from "./run.ts";

/** A GPU's drivers on disk. */
export interface PreparedDrivers {
  /** The folder of the driver and of the other shared libraries for its process. */
  readonly libraries: string;
  /** The path of the library that simulates the device. */
  readonly shim: string;
  /** The folder of the layer and its manifest. */
  readonly layers: string;
}

/** Options of the preparation. */
export interface PrepareOptions {
  /** The folder of the drivers. */
  readonly folder: string;
  /** Called at the beginning of every step with a line about the step. */
  readonly notice: (text: string) => void;
  readonly interrupt: AbortSignal;
}

const LIBRARIES = "usr/lib/x86_64-linux-gnu";
const LAYER = "libgradsink_layer.so";
const DESCRIPTION = "layer.json";

// Packages to run the drivers, and the headers for building the layer.
const RUNTIME_PACKAGES = [
  "mesa-vulkan-drivers",
  "mesa-drm-shim",
  "libvulkan1",
  "libvulkan-dev",
  "libc6",
  "libgcc-s1",
  "libstdc++6",
];

// Packages for building Intel's library, in addition to the machine's compiler: Mesa needs newer
// versions than a machine may have.
const BUILD_PACKAGES = [
  "meson",
  "python3-mako",
  "python3-yaml",
  "python3-packaging",
  "python3-setuptools",
  "libdrm-dev",
  "zlib1g-dev",
  "libexpat1-dev",
];

/** The programs that the machine must have, each with its package. */
const PROGRAMS: Readonly<Record<string, string>> = {
  gcc: "gcc",
  "g++": "g++",
  ninja: "ninja-build",
  bison: "bison",
  flex: "flex",
  "pkg-config": "pkg-config",
  python3: "python3",
  tar: "tar",
  xz: "xz-utils",
};

// apt's names of the releases. Debian's stable release is `trixie`; its newest, `sid`, is still in
// development. On Ubuntu, both are `devel`, the release in development.
const SUITES: Readonly<Record<System["id"], Readonly<Record<PretendedGpu["release"], string>>>> = {
  debian: { stable: "trixie", newest: "sid" },
  ubuntu: { stable: "devel", newest: "devel" },
};

const NOT_HERE =
  "prepares its drivers on Debian and Ubuntu on x86-64 only: run it there, or in a " +
  "container of either";

/**
 * Finds a GPU's drivers, and prepares them if they are missing.
 *
 * @throws {Error} if the drivers are missing and cannot be prepared, with the reason
 */
export async function prepareDrivers(
  gpu: PretendedGpu,
  options: PrepareOptions,
): Promise<PreparedDrivers> {
  const prepared = await findDrivers(gpu, options.folder);
  if (prepared !== undefined) return prepared;
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") throw new Error(NOT_HERE);
  const system = parseSystem(await Deno.readTextFile("/etc/os-release").catch(() => ""));
  if (system === undefined) throw new Error(NOT_HERE);
  await Deno.mkdir(options.folder, { recursive: true });
  await installPrograms(options);
  const root = await prepareRoot(system, gpu.release, options);
  await prepareLayer(root, options);
  if (gpu.shim === "intel") await prepareIntel(system, options);
  const found = await findDrivers(gpu, options.folder);
  if (found === undefined) {
    throw new Error(`the drivers that were prepared lack lib${gpu.shim}_noop_drm_shim.so`);
  }
  return found;
}

/** Finds a GPU's drivers. Returns undefined if they are not prepared. */
export async function findDrivers(
  gpu: PretendedGpu,
  folder: string,
): Promise<PreparedDrivers | undefined> {
  const libraries = `${folder}/${gpu.release}/${LIBRARIES}`;
  const name = `lib${gpu.shim}_noop_drm_shim.so`;
  const shim = gpu.shim === "intel" ? `${folder}/${name}` : `${libraries}/${name}`;
  const layers = await layersFolder(folder);
  const needed = [`${folder}/${gpu.release}/.complete`, shim, `${layers}/${DESCRIPTION}`];
  for (const path of needed) if (!await exists(path)) return undefined;
  return { libraries, shim, layers };
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

const layerSource = new URL("./layer.c", import.meta.url);

// The folder is named by a hash of the layer's source, so that a new source makes a new layer.
async function layersFolder(folder: string): Promise<string> {
  const digest = await sha256(await Deno.readFile(layerSource));
  return `${folder}/layer-${digest.slice(0, 12)}`;
}

async function installPrograms({ notice, interrupt }: PrepareOptions): Promise<void> {
  const missing: string[] = [];
  for (const [program, name] of Object.entries(PROGRAMS)) {
    if (!await hasProgram(program)) missing.push(name);
  }
  if (!await exists("/usr/include/features.h")) missing.push("libc6-dev");
  if (missing.length === 0) return;
  const names = missing.join(" ");
  if (Deno.uid() !== 0) {
    throw new Error(`needs ${names}: sudo apt-get install ${names}, then run it again`);
  }
  notice(`installing ${names}`);
  const program = { environment: { DEBIAN_FRONTEND: "noninteractive" }, interrupt };
  const settings = ["-qq", "-o", "DPkg::Lock::Timeout=300"];
  const install = ["install", "--yes", "--no-install-recommends", ...missing];
  await runProgram(["apt-get", ...settings, "update"], program);
  await runProgram(["apt-get", ...settings, ...install], program);
}

// Makes everything under a temporary name, so that an interrupted run's leftovers never count as
// complete.
async function prepareRoot(
  system: System,
  release: PretendedGpu["release"],
  { folder, notice, interrupt }: PrepareOptions,
): Promise<string> {
  const root = `${folder}/${release}`;
  if (await exists(`${root}/.complete`)) return root;
  const suite = SUITES[system.id][release];
  notice(`fetching the drivers of ${system.id} ${suite}`);
  const making = await Deno.makeTempDir({ dir: folder, prefix: `${release}-` });
  try {
    const archive = await findArchive(system, suite);
    const apt = await PrivateApt.open(archive, `${making}/apt`, { interrupt });
    await apt.unpack(RUNTIME_PACKAGES, `${making}/root`);
    await Deno.writeTextFile(`${making}/root/.complete`, `${system.id} ${suite}\n`);
    await replaceFolder(`${making}/root`, root);
  } finally {
    await Deno.remove(making, { recursive: true });
  }
  return root;
}

async function replaceFolder(from: string, to: string): Promise<void> {
  await Deno.remove(to, { recursive: true }).catch(() => {});
  await Deno.rename(from, to);
}

async function prepareLayer(
  root: string,
  { folder, notice, interrupt }: PrepareOptions,
): Promise<void> {
  const layers = await layersFolder(folder);
  if (await exists(`${layers}/${DESCRIPTION}`)) return;
  notice("building the layer");
  await Deno.mkdir(layers, { recursive: true });
  const flags = ["-O1", "-Wall", "-shared", "-fPIC", "-fvisibility=hidden"];
  const include = `-I${root}/usr/include`;
  const made = ["-o", `${layers}/${LAYER}`];
  await runProgram(["gcc", ...flags, include, fileURLToPath(layerSource), ...made], { interrupt });
  const layer = {
    name: "VK_LAYER_GRADSINK_compilers",
    type: "GLOBAL",
    library_path: `./${LAYER}`,
    api_version: "1.3.239",
    implementation_version: "1",
    description: "Writes down what the driver's compiler made of every compute pipeline",
  };
  const description = JSON.stringify({ file_format_version: "1.1.2", layer });
  await Deno.writeTextFile(`${layers}/${DESCRIPTION}`, description); // last: completes the layer
}

// Features of Mesa to leave out: Intel's library does not need them.
const WITHOUT = [
  ...["vulkan-drivers", "gallium-drivers", "platforms", "video-codecs"].map((name) => `-D${name}=`),
  ...["glx", "egl", "gbm", "gles1", "gles2", "llvm", "intel-rt", "valgrind", "zstd"]
    .map((name) => `-D${name}=disabled`),
  "-Dopengl=false",
];

async function prepareIntel(
  system: System,
  { folder, notice, interrupt }: PrepareOptions,
): Promise<void> {
  const name = "libintel_noop_drm_shim.so";
  if (await exists(`${folder}/${name}`)) return;
  const suite = SUITES[system.id].stable;
  notice("building the library that pretends Intel's GPUs: about two minutes");
  const making = await Deno.makeTempDir({ dir: folder, prefix: "intel-" });
  try {
    const archive = await findArchive(system, suite);
    const apt = await PrivateApt.open(archive, `${making}/apt`, { interrupt });
    const tools = `${making}/tools`;
    await apt.unpack(BUILD_PACKAGES, tools);
    const source = await apt.source("mesa");
    await Deno.mkdir(`${making}/mesa`);
    const unpack = ["--extract", "--strip-components=1", `--directory=${making}/mesa`];
    await runProgram(["tar", ...unpack, "--file", source], { interrupt });
    const python = `${tools}/usr/lib/python3/dist-packages`;
    // `-idirafter` searches the machine's own headers first, because the C library's headers must
    // match the machine's compiler and linker.
    const headers = ["", "/x86_64-linux-gnu"].map((end) => `-idirafter ${tools}/usr/include${end}`);
    const environment = {
      CFLAGS: headers.join(" "),
      CXXFLAGS: headers.join(" "),
      PYTHONPATH: python,
      PYTHONDONTWRITEBYTECODE: "1",
      PKG_CONFIG_LIBDIR: `${tools}/${LIBRARIES}/pkgconfig:${tools}/usr/share/pkgconfig`,
      PKG_CONFIG_SYSROOT_DIR: tools,
    };
    const run = async (...command: [string, ...string[]]) =>
      await runProgram(command, { cwd: `${making}/mesa`, environment, interrupt });
    const meson = `${tools}/usr/bin/meson`;
    const settings = [...WITHOUT, "-Dtools=drm-shim,intel", "-Dbuildtype=release"];
    await run("python3", meson, "setup", "../build", ...settings);
    await run("ninja", "-C", "../build", `src/intel/tools/${name}`);
    await Deno.copyFile(`${making}/build/src/intel/tools/${name}`, `${folder}/${name}.tmp`);
    await Deno.rename(`${folder}/${name}.tmp`, `${folder}/${name}`);
  } finally {
    await Deno.remove(making, { recursive: true });
  }
}
