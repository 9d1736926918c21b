/**
 * Machines for the examples: clones of this repository in temporary folders, and shells to run
 * commands in them.
 */

import { fileURLToPath } from "node:url";
const root = fileURLToPath(new URL("../../../", import.meta.url));

/** The permissions that the examples' commands need. */
const needed = ["run", "read", "write", "env"] as const;

/** Why this machine cannot run the examples' shell commands, if it cannot. */
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
 * Registers a test with a temporary folder; it is ignored, by a name that says why, where it cannot
 * run.
 *
 * @param name the test's name
 * @param body the test
 * @param unless why it cannot run, beside what all of these tests need
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
 * A clone of the working tree as it is, uncommitted changes too. Links would not do: the bench's
 * child may read no folder.
 *
 * @param folder to make
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

/** A command under way. */
export interface Started {
  readonly process: Deno.ChildProcess;
  readonly finished: Promise<Finished>;
}

/**
 * Starts bash.
 *
 * @param args of bash
 * @param options the folder, and what to add to the environment
 */
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

/**
 * Waits until something holds, or fails.
 *
 * @param condition what is waited for
 * @param what its name in the message
 */
export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 120_000;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`waited two minutes for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
