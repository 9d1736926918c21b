/** What `@std/cli`'s parseArgs does, over `node:util`'s, as far as `arguments.ts` needs it. */
import { parseArgs as parseWithNode } from "node:util";

/** The options of `@std/cli`'s parseArgs that are used. */
export interface ParseOptions {
  /** Options without a value. */
  boolean: string[];
  /** Options with a value; `_` keeps operands from becoming numbers. */
  string: string[];
  /** Whether what follows `--` is kept apart. */
  "--": true;
}

/** What the parser gives back. */
export interface ParsedWords {
  /** The operands. */
  _: (string | number)[];
  /** What followed `--`. */
  "--"?: string[];
  [option: string]: unknown;
}

/**
 * Reads a command line whose options have been checked already and are written `--name=value`.
 *
 * @param args the words
 * @param options which options exist
 */
export function parseArgs(args: string[], options: ParseOptions): ParsedWords {
  const end = args.indexOf("--");
  const config: Record<string, { type: "boolean" | "string" }> = {};
  for (const name of options.boolean) config[name] = { type: "boolean" };
  for (const name of options.string) if (name !== "_") config[name] = { type: "string" };
  const { values, positionals } = parseWithNode({
    args: end < 0 ? args : args.slice(0, end),
    options: config,
    allowPositionals: true,
    strict: true,
  });
  return { ...values, _: positionals, "--": end < 0 ? [] : args.slice(end + 1) };
}
