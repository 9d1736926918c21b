/** Options that several commands share, and checks of option values. */
import { type OptionSpecification, takes, UsageError, wrongValue } from "./arguments.ts";
import { wantedNames } from "../../closest.ts";

/** `--help` */
export const help = {
  type: "switch",
  short: "h",
  description: "Print this help and exit",
} as const satisfies OptionSpecification;

/** `--runtime` */
export const runtime = takes("NAME", "The WebGPU implementation", {
  choices: ["deno", "dawn"],
  default: "deno",
});

/** `--software` */
export const software = takes(
  "WHEN",
  "Whether to take an adapter that computes on the CPU; auto takes it if there is no hardware GPU",
  {
    choices: ["auto", "always", "never"],
    default: "auto",
  },
);

/** `--adapter` */
export const adapter = takes(
  "WHICH",
  "The GPU: part of its name, or its number in the list of deno task adapters (default GRADSINK_ADAPTER, else the machine's GPU)",
);

/** `--tuning` */
export const tuning = takes(
  "WHETHER",
  "Whether to use the kernels that deno task tune chose on this machine",
  { choices: ["on", "off"], default: "on" },
);

/** `--passes` */
export const passes = takes("A,B", "Passes: forward, backward (default both)");

/** `--shapes` */
export const shapes = takes(
  "GRID",
  "Shapes by name, or a grid of them: quick, default (if not given), full; grids have smaller shapes on adapters that compute on the CPU",
);

/** `--seed` */
export const seed = takes("N", "Seed of the inputs and the order of measuring", { default: "1" });

/** A WebGPU implementation. */
export type RuntimeChoice = typeof runtime["choices"][number];

export type SoftwareChoice = typeof software["choices"][number];

/** The value of `--adapter` as an option of openGpu; no option if `--adapter` is not given. */
export function adapterOption(given: string | undefined): { readonly adapter?: string } {
  if (given === undefined) return {};
  if (given.trim() === "" || given.length > 300) {
    throw new UsageError("--adapter: wanted part of a GPU's name, or its number");
  }
  return { adapter: given.trim() };
}

/**
 * Refuses operands.
 *
 * @throws {UsageError} if there is one
 */
export function refuseOperands(operands: readonly string[], command: string): void {
  if (operands.length === 0) return;
  throw new UsageError(
    `unexpected ${JSON.stringify(operands[0])}: ${command} takes options only`,
  );
}

/**
 * Reads a whole number of either sign.
 *
 * @throws {UsageError} if it is not one
 */
export function wholeNumber(name: string, text: string): number {
  const number = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(number)) throw wrongValue(name, text, "a whole number");
  return number;
}

/**
 * Reads a budget in seconds.
 *
 * @param given text from the command line, or a value from a file
 * @throws {UsageError} if it is not a number of seconds above 0, up to a million
 */
export function budgetSeconds(given: unknown): number {
  const seconds = typeof given === "string" ? Number(given) : given;
  if (typeof seconds === "number" && seconds > 0 && seconds <= 1e6) return seconds;
  const shown = JSON.stringify(String(given).slice(0, 100));
  throw new UsageError(`--budget is ${shown}, wanted a number of seconds above 0, at most 1000000`);
}

/**
 * Reads a comma-separated list of names and drops repeated ones.
 *
 * @throws {UsageError} if a name is empty
 */
export function listOf(name: string, text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const items = text.split(",").map((item) => item.trim());
  if (items.includes("")) {
    throw new UsageError(`--${name} is ${JSON.stringify(text)}: an empty name`);
  }
  return [...new Set(items)];
}

/**
 * Checks that a name is a known one.
 *
 * @throws {UsageError} for any other name; the message suggests the closest known one
 */
export function oneOf<Name extends string>(
  option: string,
  { given, known }: { readonly given: unknown; readonly known: readonly Name[] },
): Name {
  if (known.includes(given as Name)) return given as Name;
  const name = String(given).slice(0, 100);
  throw new UsageError(`--${option} is ${JSON.stringify(name)}, ${wantedNames(name, known)}`);
}

/**
 * Checks that names are known, and sorts them in the known order.
 *
 * @param option the option that the names were given to
 * @param names `given`: a name or a list of names, undefined for all; `known`: the known names
 * @throws {UsageError} for any other name
 */
export function someOf<Name extends string>(
  option: string,
  { given, known }: { readonly given: unknown; readonly known: readonly Name[] },
): readonly Name[] {
  if (given === undefined) return known;
  const names = Array.isArray(given) ? given as unknown[] : [given];
  for (const name of names) oneOf(option, { given: name, known });
  return known.filter((name) => names.includes(name));
}
