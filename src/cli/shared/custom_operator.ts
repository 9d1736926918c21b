/**
 * Finds the file of a custom operator. This process does not run the file. A measuring process with
 * few permissions runs it, and reports what it defines.
 */
import { createHash } from "node:crypto";
import { dirname, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { MeasuringChild } from "../../measure/child/process.ts";
import { addOutlinedOperator, type OperatorOutline } from "../../measure/custom_operator.ts";
import { type ChildCommand, thisDeno } from "../../processes.ts";
import { readText } from "../../files/read.ts";
import { takesPath, UsageError } from "./arguments.ts";
import type { RuntimeChoice } from "./options.ts";
import { childCommand, projectFlags } from "./machine.ts";

/** `--operator` */
export const operator = takesPath(
  "FILE",
  "A TypeScript file with an operator of your own; see bench/operators/softcap.ts",
);

/** A custom operator's file. */
export interface OperatorFile {
  readonly path: string;
  /** The URL to import it from. */
  readonly url: string;
  /** 16 hexadecimal digits of a hash of the file and its imports. */
  readonly digest: string;
}

/** A custom operator's file, and what a measuring process found in it. */
export interface LoadedOperator {
  readonly file: OperatorFile;
  readonly outline: OperatorOutline;
}

export interface OperatorOption {
  readonly path: string;
  /** The runtime to run the file in. */
  readonly runtime: RuntimeChoice;
}

/** Reads `--operator` from a parsed command line. Returns undefined without it or with `--help`. */
export function operatorOption({ switches, values }: {
  readonly switches: { readonly help: boolean };
  readonly values: { readonly operator: string | undefined; readonly runtime: RuntimeChoice };
}): OperatorOption | undefined {
  if (switches.help || values.operator === undefined) return undefined;
  return { path: values.operator, runtime: values.runtime };
}

/**
 * How long to wait for a file's report, in ms. It is long, as a file may compute when it starts.
 */
const DEADLINE = 60_000;

/**
 * Adds the operator of `--operator` to the built-in operators.
 *
 * @param option undefined without `--operator`
 * @param child starts the measuring process; default: the usual one
 * @throws {UsageError} if something is wrong with the file
 */
export async function addOperator(
  option: OperatorOption | undefined,
  child?: ChildCommand,
): Promise<LoadedOperator | undefined> {
  if (option === undefined) return undefined;
  try {
    const loaded = await loadOperator(option, child);
    addOutlinedOperator(loaded.outline);
    return loaded;
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`--operator: ${error.message}`) : error;
  }
}

/**
 * Starts a measuring process that runs an operator's file and reports what the file defines.
 *
 * @param child starts the measuring process; default: the usual one
 * @throws {UsageError} if something is wrong with the file
 */
export async function loadOperator(
  option: OperatorOption,
  child?: ChildCommand,
): Promise<LoadedOperator> {
  const file = await findOperator(option.path);
  const outline = await describeOperator(file, child ?? childCommand(option, file));
  return { file, outline };
}

/**
 * Finds an operator's file and its imports.
 *
 * @throws {UsageError} if it is not a readable program, or an import is missing
 */
async function findOperator(path: string): Promise<OperatorFile> {
  await readText(path).catch((error: Error) => {
    throw new UsageError(error.message);
  });
  if (!/\.[mc]?[jt]s$/.test(path)) {
    throw new UsageError(`${path} is no TypeScript or JavaScript file (.ts, .js)`);
  }
  const url = pathToFileURL(Deno.realPathSync(path)).href;
  return { path, url, digest: await digestOf(url, path) };
}

/** A module, from `deno info --json`. */
interface Module {
  readonly specifier: string;
  readonly local?: string | null;
  readonly error?: string;
}

// The digest covers the file and its imports. It leaves out src/, kernels/ and mod.ts, because the
// suite's commit identifies those.
async function digestOf(url: string, path: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(thisDeno(), {
    args: ["info", "--json", "--quiet", "--no-lock", ...projectFlags(), url],
    env: { NO_COLOR: "1" },
  }).output();
  if (!success) {
    throw new UsageError(`${path}: ${new TextDecoder().decode(stderr).trim()}`);
  }
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    readonly modules: readonly Module[];
  };
  const broken = modules.find(({ error }) => error !== undefined);
  if (broken !== undefined) throw new UsageError(`${path}: ${broken.error}`);
  const suite = new URL("../../../", import.meta.url).href;
  const isSuite = (specifier: string): boolean =>
    ["src/", "kernels/", "mod.ts"].some((part) => specifier.startsWith(suite + part));
  const folder = dirname(fileURLToPath(url));
  const hash = createHash("sha256");
  for (const { specifier } of modules.toSorted((a, b) => a.specifier < b.specifier ? -1 : 1)) {
    if (isSuite(specifier)) continue;
    const isFile = specifier.startsWith("file:");
    const name = isFile ? relative(folder, fileURLToPath(specifier)) : specifier;
    hash.update(`${name.replaceAll("\\", "/")}\n`);
    if (isFile) hash.update(await Deno.readFile(fileURLToPath(specifier)));
  }
  return hash.digest("hex").slice(0, 16);
}

async function describeOperator(
  { path }: OperatorFile,
  command: ChildCommand,
): Promise<OperatorOutline> {
  const child = new MeasuringChild(command);
  try {
    child.send({ type: "describe" });
    while (true) {
      const event = await child.next(DEADLINE);
      if (event.type === "described") return event.outline;
      if (event.type === "at") continue;
      const reason = event.type === "broken" || event.type === "ended"
        ? event.reason
        : `it did not say what it is within ${DEADLINE / 1000} s`;
      throw new UsageError(`${path}: ${reason}`);
    }
  } finally {
    await child.close(1000);
  }
}
