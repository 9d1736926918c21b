/** `deno task sinks compare`: compares measurements of several models. */
import { checkWritable, writeTextFile } from "../../files/write.ts";
import { FileError } from "../../files/file_error.ts";
import {
  formatSinkComparison,
  readMeasurements,
  renderSinkComparison,
} from "../../report/sink_comparison.ts";
import { createSvgDocument } from "../../report/svg_document.ts";
import {
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  takesPath,
  UsageError,
} from "../shared/arguments.ts";
import { runCommand } from "../shared/command.ts";
import { help } from "../shared/options.ts";
import { type CommandOutput, tellWritten } from "../shared/output.ts";
import { absolutePath } from "../shared/place.ts";

interface CompareRequest {
  readonly files: readonly string[];
  readonly html: string | undefined;
}

const options = {
  html: takesPath("FILE", "Also write a page with pictures, in one file that needs no network"),
  help,
} as const satisfies OptionSpecifications;

/** The text of `--help`. */
export function sinksCompareHelp(): string {
  return `Shows the measurements of several models side by side.

Usage: deno task sinks compare [OPTIONS] FILE FILE…

Every FILE is the output of deno task sinks --output=FILE.

${formatOptions(options)}
Exit codes:
  0    compared
  1    a file cannot be read, or is not a measurement
  2    a mistake in the command line
`;
}

function parse(args: readonly string[]): CompareRequest | undefined {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return undefined;
  if (operands.length < 2) {
    throw new UsageError(
      `${operands.length === 0 ? "no file is" : "one file is"} given: deno task sinks compare ` +
        "FILE FILE; --help says more",
    );
  }
  return { files: operands.map(absolutePath), html: values.html };
}

/** Runs the command; returns its exit code. */
export async function runSinksCompare(
  args: readonly string[],
  hooks: CommandOutput,
): Promise<number> {
  const command = { name: "sinks compare", parse, help: sinksCompareHelp };
  return await runCommand(
    { ...command, run: (request) => compare(request, hooks) },
    args,
    hooks,
  );
}

async function compare({ files, html }: CompareRequest, hooks: CommandOutput): Promise<number> {
  if (html !== undefined) await checkWritable(html);
  const measurements = await readMeasurements(files);
  let text: string;
  let page: string | undefined;
  try {
    text = formatSinkComparison(measurements, { color: hooks.color });
    if (html !== undefined) page = renderSinkComparison(measurements, createSvgDocument());
  } catch (error) {
    // A TypeError means that a field deep inside a file has a wrong form.
    if (!(error instanceof TypeError)) throw error;
    throw new FileError(
      `${files.join(", ")}: one of them is no whole measurement (${error.message})`,
    );
  }
  if (html !== undefined) await writeTextFile(html, page!);
  hooks.out(text);
  tellWritten(hooks, "sinks compare", [html]);
  return 0;
}
