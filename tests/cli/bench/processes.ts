/**
 * Starts the bench in a process of its own, with a stand-in for its measuring process: one that
 * uses no GPU, or one with faulty kernels.
 */
import { fileURLToPath } from "node:url";

const needed = ["run", "read", "write", "env", "sys"] as const;
const missing: string[] = [];
for (const name of needed) {
  const { state } = await Deno.permissions.query({ name });
  // The tests also pass without --allow-sys. Result files then say less about the machine.
  if (state !== "granted" && name !== "sys") missing.push(`--allow-${name}`);
}

/**
 * Registers a test that gets a temporary folder. If permissions are missing, the test is ignored,
 * and its name lists their flags.
 */
export function testBench(name: string, fn: (folder: string) => Promise<void>): void {
  const ignore = missing.length > 0;
  Deno.test({
    name: ignore ? `${name} [needs ${missing.join(" ")}]` : name,
    ignore,
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "gradsink-bench-" });
      try {
        await fn(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

const main = fileURLToPath(new URL("../programs/bench_main.ts", import.meta.url));

/** How to start a bench. */
export interface Bench {
  /** The measuring process. Default: one without a GPU. */
  readonly child?: "fake_child.ts" | "faulty_child.ts";
  /** Instructions to `../programs/fake_child.ts`, which describes them. */
  readonly fake?: {
    readonly pace?: number;
    readonly adapter?: string;
    readonly unfit?: readonly string[];
    readonly slow?: number;
    readonly crash?: number;
  };
  readonly cwd?: string;
}

/** Starts a bench in a process. */
export function start(
  args: readonly string[],
  { child = "fake_child.ts", fake = {}, cwd }: Bench = {},
) {
  const module = fileURLToPath(new URL(`../programs/${child}`, import.meta.url));
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-lock", "-A", main, module, ...args],
    env: { FAKE_CHILD: JSON.stringify(fake), NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...cwd === undefined ? {} : { cwd },
  }).spawn();
}

/** Runs a bench in a process. */
export async function run(
  args: readonly string[],
  options: Bench = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await start(args, options).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Waits. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Kills a process if it still runs. */
export function killIfThere(process: Deno.ChildProcess): void {
  try {
    process.kill("SIGKILL");
  } catch {
    // The process ended before it was killed.
  }
}

/** Waits until a condition holds. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!await condition()) await pause(20);
}
