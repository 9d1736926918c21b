/**
 * Machines for the examples' tests: clones of this repository in temporary folders, and shells to
 * run commands in them.
 */

import { fileURLToPath } from "node:url";
const root = fileURLToPath(new URL("../../../", import.meta.url));

/** The permissions that the examples' commands need. */
const needed = ["run", "read", "write", "env"] as const;

/** Why this machine cannot run the examples' shell commands; undefined if it can. */
export const reason: string | undefined = await findReason();

async function findReason(): Promise<string | undefined> {
  if (Deno.build.os === "windows") return "not on Windows";
  const states = await Promise.all(needed.map((name) => Deno.permissions.query({ name })));
  const missing = needed.filter((_, i) => states[i]!.state !== "granted");
  if (missing.length > 0) return `needs ${missing.map((name) => `--allow-${name}`).join(" ")}`;
  try {
    await new Deno.Command("bash", { args: ["--version"], stdout: "null" }).output();
    return undefined;
  } catch {
    return "needs bash";
  }
}

/**
 * Registers a test that gets a temporary folder. Where the test cannot run, it is ignored, and its
 * name says why.
 *
 * @param unless a further reason why the test cannot run
 */
export function testWithFolder(
  name: string,
  body: (folder: string) => Promise<void>,
  unless?: string,
): void {
  const why = reason ?? unless;
  Deno.test({
    name: why === undefined ? name : `${name} [${why}]`,
    ignore: why !== undefined,
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "gradsink-examples-" });
      try {
        await body(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/**
 * Copies the code of the working tree, including uncommitted changes. Links would not do, because
 * the bench's measuring process may read no other folder.
 */
export async function cloneInto(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const names = ["deno.json", "mod.ts", "src", "kernels", "bench", "tests"];
  const { success } = await new Deno.Command("cp", {
    args: ["-R", ...names.map((name) => root + name), folder],
  }).output();
  if (!success) throw new Error(`cannot copy ${root} to ${folder}`);
}

/** A finished command. */
export interface Finished {
  readonly code: number;
  readonly output: string;
}

/** A running command. */
export interface Started {
  readonly process: Deno.ChildProcess;
  readonly finished: Promise<Finished>;
}

export function startBash(
  args: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Started {
  const deno = Deno.execPath().replace(/\/[^/]*$/, "");
  const process = new Deno.Command("bash", {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", PATH: `${deno}:${Deno.env.get("PATH")}`, ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return { process, finished: collect(process) };
}

async function collect(process: Deno.ChildProcess): Promise<Finished> {
  const { code, stdout, stderr } = await process.output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Waits until a condition holds. Fails after two minutes. */
export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 120_000;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`waited two minutes for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
