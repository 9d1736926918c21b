/** Replaces `@std/cli`'s parseArgs by `node:util`'s, as far as `arguments.ts` needs it. */
import { parseArgs as parseWithNode } from "node:util";

export interface ParseOptions {
  /** Options without a value. */
  boolean: string[];
  /** Options with a value. If `_` is in the list, operands stay text and do not become numbers. */
  string: string[];
  /** Always true: the words after `--` are kept apart from the operands. */
  "--": true;
}

/** The parser's result. */
export interface ParsedWords {
  /** The operands. */
  _: (string | number)[];
  /** The words after `--`. */
  "--"?: string[];
  [option: string]: unknown;
}

/** Reads a command line whose options are valid, in the form `--name=value`. */
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
