/**
 * Finds a Chromium for the tests to control: an installed one, or else the one in the npm package
 * that also holds the embedded SwiftShader.
 */
import { brotliDecompressSync } from "node:zlib";
import { unpackTar } from "modern-tar";
import { embeddedPackage } from "../../../../src/gpu/embedded/archive.ts";
import { projectCacheFolder } from "../../../../src/files/cache_folder.ts";

/** A Chromium that can be started. */
export interface Chromium {
  readonly executablePath: string;
  /** Variables for its process's environment. */
  readonly env: Readonly<Record<string, string>>;
}

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/**
 * Finds a Chromium: the one that the environment variable `CHROMIUM` names, or the first of the
 * usual names on the path. On x64 Linux without either, it fetches the headless one of
 * npm:@sparticuz/chromium once.
 *
 * @returns the program, or why there is none
 */
export async function findChromium(): Promise<Chromium | string> {
  const named = Deno.env.get("CHROMIUM");
  if (named !== undefined && named !== "") {
    return await isFile(named)
      ? { executablePath: named, env: {} }
      : `CHROMIUM is ${named}, which is no file`;
  }
  const folders = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  for (const name of NAMES) {
    for (const folder of folders) {
      const executablePath = `${folder}/${name}`;
      if (await isFile(executablePath)) return { executablePath, env: {} };
    }
  }
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    return "needs a Chromium: install one, or name it in CHROMIUM";
  }
  try {
    return await unpackChromium();
  } catch (error) {
    return `needs a Chromium: none is installed, and none could be fetched (${
      (error as Error).message
    })`;
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}

// Unpacks Chromium, libraries that a machine may lack, and SwiftShader from the package, once.
async function unpackChromium(): Promise<Chromium> {
  const { specifier } = embeddedPackage;
  const variables = { HOME: Deno.env.get("HOME"), XDG_CACHE_HOME: Deno.env.get("XDG_CACHE_HOME") };
  const version = specifier.slice(specifier.lastIndexOf("@") + 1);
  const folder = `${projectCacheFolder(variables)}/chromium-${version}`;
  const executablePath = `${folder}/chromium`;
  const env = { LD_LIBRARY_PATH: `${folder}/lib`, HOME: folder };
  if (await isFile(executablePath)) return { executablePath, env };
  await import(`npm:${specifier}/package.json`, { with: { type: "json" } }); // fetches it
  const source = new URL("bin/", import.meta.resolve(`npm:${specifier}/package.json`));
  const made = `${folder}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  await Deno.mkdir(`${made}/lib`, { recursive: true });
  try {
    const read = async (name: string): Promise<Uint8Array<ArrayBuffer>> =>
      new Uint8Array(brotliDecompressSync(await Deno.readFile(new URL(name, source))));
    await Deno.writeFile(`${made}/chromium`, await read("chromium.br"), { mode: 0o755 });
    for (const [archive, place] of [["al2023.tar.br", "/"], ["swiftshader.tar.br", "/"]] as const) {
      for (const { header, data } of await unpackTar(await read(archive))) {
        const name = header.name.replace(/^\.?\//, "");
        if (data === undefined || !/^(lib\/)?[\w.+-]+$/.test(name)) continue;
        await Deno.writeFile(`${made}${place}${name}`, data as Uint8Array<ArrayBuffer>);
      }
    }
    await Deno.rename(made, folder);
  } catch (error) {
    await Deno.remove(made, { recursive: true }).catch(() => {});
    if (!(await isFile(executablePath))) throw error; // another process was faster
  }
  return { executablePath, env };
}
