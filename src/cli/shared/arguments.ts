/**
 * Reads command lines, in one way for every command.
 *
 * The parser is `@std/cli`'s, or `node:util`'s if JSR cannot be reached. They differ in what they
 * call a mistake, so this file finds all mistakes itself: an unknown option, a missing or unwanted
 * value, a value that is not one of the choices.
 */
import * as fallback from "./arguments_fallback.ts";
import { closest, wantedNames } from "../../closest.ts";
import { absolutePath } from "./place.ts";
import { UsageError } from "./usage_error.ts";

export { UsageError };

const library: typeof fallback = await (import("@std/cli/parse-args") as Promise<unknown>).then(
  (module) => module as typeof fallback,
  () => fallback,
);

/** One option of a command. */
export interface OptionSpecification {
  readonly type: "switch" | "value";
  /** The letter of the short form. */
  readonly short?: string;
  /** In the help, such as `FILE`. */
  readonly placeholder?: string;
  /** A path, to be made absolute. */
  readonly path?: true;
  /** For the help, without a period. */
  readonly description: string;
  /** The only values that are allowed. */
  readonly choices?: readonly string[];
  readonly default?: string;
}

type OptionRest = Omit<OptionSpecification, "type" | "placeholder" | "path" | "description">;

/**
 * Specifies an option that takes a value.
 *
 * @param placeholder the value's name in the help
 * @param rest the option's default, choices and letter of the short form, if any
 */
export function takes<const Rest extends OptionRest = Record<never, never>>(
  placeholder: string,
  description: string,
  rest?: Rest,
): { readonly type: "value" } & Omit<OptionSpecification, keyof OptionRest | "type"> & Rest {
  return { type: "value", placeholder, description, ...rest as Rest };
}

/** Specifies an option that takes a path; {@linkcode parseArguments} makes the path absolute. */
export function takesPath<const Rest extends OptionRest = Record<never, never>>(
  placeholder: string,
  description: string,
  rest?: Rest,
): ReturnType<typeof takes<Rest>> {
  return { ...takes(placeholder, description, rest), path: true };
}

/** Specifies an option without a value. */
export function flag(description: string): { readonly type: "switch" } & OptionSpecification {
  return { type: "switch", description };
}

/** A command's options by their long names. */
export type OptionSpecifications = Readonly<Record<string, OptionSpecification>>;

export type NamesOf<Options extends OptionSpecifications, Type extends "switch" | "value"> = {
  [Name in keyof Options]: Options[Name]["type"] extends Type ? Name : never;
}[keyof Options];

/**
 * The type of an option's value: one of the option's choices, or any text if the option has no
 * choices. If the option has no default, the value can also be undefined.
 */
export type ValueOf<Option extends OptionSpecification> =
  | (Option extends { readonly choices: readonly (infer Choice)[] } ? Choice : string)
  | (Option extends { readonly default: string } ? never : undefined);

/** Result of {@linkcode parseArguments}. */
export interface ParsedArguments<Options extends OptionSpecifications> {
  /** For each switch, whether it was given. */
  readonly switches: { readonly [Name in NamesOf<Options, "switch">]: boolean };
  /** Each option's value. If an option was given more than once, its last value counts. */
  readonly values: { readonly [Name in NamesOf<Options, "value">]: ValueOf<Options[Name]> };
  /** The words that belong to no option. */
  readonly operands: readonly string[];
}

/**
 * Makes the error for an option with the wrong value `text`. `wanted` names the accepted values.
 */
export function wrongValue(name: string, text: string, wanted: string): UsageError {
  return new UsageError(`--${name} is ${JSON.stringify(text)}, wanted ${wanted}`);
}

/** The type of both parsers, `@std/cli`'s and `node:util`'s. Tests choose the parser. */
export type ArgumentParser = typeof fallback.parseArgs;

/**
 * Reads a command line. `--name value` and `--name=value` mean the same; words after `--` are never
 * options. A value that begins with a dash needs the form with `=`. The paths among the options'
 * values become absolute.
 *
 * @param args the words after the command
 * @param options the command's options; tests also pass the parser
 * @throws {UsageError} for an unknown option (the message names the closest known one), a missing
 *   or unwanted value, or a value that is not one of the choices
 *
 * @example
 * ```ts
 * import { parseArguments } from "./arguments.ts";
 *
 * const { values, operands } = parseArguments(["a.json", "--format=csv"], {
 *   options: { format: { type: "value", description: "the output's form" } },
 * });
 * console.log(values.format, operands); // csv, ["a.json"]
 * ```
 */
export function parseArguments<const Options extends OptionSpecifications>(
  args: readonly string[],
  { options, parser = library.parseArgs }: {
    readonly options: Options;
    readonly parser?: ArgumentParser;
  },
): ParsedArguments<Options> {
  const words = checkedWords(args, options);
  const names = Object.keys(options);
  const isSwitch = (name: string) => options[name]!.type === "switch";
  const parsed = parser(words, {
    boolean: names.filter(isSwitch),
    string: names.filter((name) => !isSwitch(name)).concat("_"),
    "--": true,
  });
  const switches: Record<string, boolean> = {};
  const values: Record<string, string | undefined> = {};
  for (const name of names) {
    const { choices, default: otherwise } = options[name]!;
    if (isSwitch(name)) {
      switches[name] = parsed[name] === true;
      continue;
    }
    const value = parsed[name] as string | undefined;
    if (value !== undefined && choices !== undefined && !choices.includes(value)) {
      throw new UsageError(
        `--${name} is ${JSON.stringify(value)}, ${wantedNames(value, choices)}`,
      );
    }
    const given = value !== undefined && options[name]!.path ? absolutePath(value) : value;
    values[name] = given ?? otherwise;
  }
  return {
    switches: switches as ParsedArguments<Options>["switches"],
    values: values as ParsedArguments<Options>["values"],
    operands: [...parsed._.map(String), ...parsed["--"] ?? []],
  };
}

/**
 * Throws for unknown options and for missing or unwanted values. Rewrites the command line so that
 * both parsers, `@std/cli`'s and `node:util`'s, read it alike: first operands, then options, each
 * option as one word such as `--name=value`. Operands come first because `@std/cli` would take an
 * operand such as `true` after a switch as the switch's value.
 */
function checkedWords(args: readonly string[], options: OptionSpecifications): string[] {
  const operands: string[] = [];
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (word === "--") return [...operands, ...words, ...args.slice(i)];
    if (!word.startsWith("-") || word === "-") {
      operands.push(word);
      continue;
    }
    const [flag, ...rest] = word.split("=");
    const name = optionNamed(flag!, options);
    if (name === undefined) throw new UsageError(unknown(flag!, options));
    const inline = rest.length > 0 ? rest.join("=") : undefined;
    if (options[name]!.type === "switch") {
      if (inline !== undefined) throw new UsageError(`--${name} takes no value`);
      words.push(`--${name}`);
      continue;
    }
    const next = inline ?? args[++i] ?? "";
    if (next === "" || (inline === undefined && next.startsWith("-"))) {
      throw new UsageError(
        `--${name} wants a value: --${name}=${options[name]!.placeholder ?? "VALUE"}`,
      );
    }
    words.push(`--${name}=${next}`);
  }
  return [...operands, ...words];
}

/** Knows the short form too. */
function optionNamed(flag: string, options: OptionSpecifications): string | undefined {
  if (flag.startsWith("--")) {
    return Object.hasOwn(options, flag.slice(2)) ? flag.slice(2) : undefined;
  }
  return Object.keys(options).find((name) => options[name]!.short === flag.slice(1));
}

function unknown(flag: string, options: OptionSpecifications): string {
  const near = closest(flag.replace(/^-+/, ""), Object.keys(options));
  return `unknown option ${JSON.stringify(flag)}` +
    (near === undefined ? "; --help lists the options" : ` (did you mean --${near}?)`);
}

export function formatOptions(options: OptionSpecifications): string {
  const entries = Object.entries(options).map(([name, option]) => {
    const short = option.short === undefined ? "    " : `-${option.short}, `;
    const value = option.type === "switch" ? "" : `=${option.placeholder ?? "VALUE"}`;
    const choices = option.choices === undefined ? "" : `: ${option.choices.join(", ")}`;
    const otherwise = option.default === undefined ? "" : ` (default ${option.default})`;
    return [`  ${short}--${name}${value}`, `${option.description}${choices}${otherwise}`] as const;
  });
  const width = Math.max(...entries.map(([flag]) => flag.length)) + 2;
  return entries.map(([flag, text]) => `${flag.padEnd(width)}${text}\n`).join("");
}
