/** `deno task compare A.json B.json …`: compares result files side by side. */
import { escapeTerminal } from "../escape.ts";
import {
  compareResultFiles,
  type Comparison,
  NothingComparableError,
} from "../measure/comparison.ts";
import { judgeGate } from "../measure/comparison/gate.ts";
import type { NamedResult } from "../measure/comparison/machine.ts";
import { FileError } from "../files/file_error.ts";
import { checkWritable, writeTextFile } from "../files/write.ts";
import type { ResultFile } from "../measure/result_file.ts";
import { readResultFile } from "../measure/result_file/store.ts";
import {
  formatComparison,
  formatComparisonCsv,
  formatComparisonJson,
  formatComparisonMarkdown,
} from "../report/comparison/text.ts";
import { formatRun } from "../report/run_table.ts";
import {
  flag,
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  takes,
  takesPath,
  UsageError,
  wrongValue,
} from "./shared/arguments.ts";
import { concludeGate } from "./compare/gate.ts";
import { runCommand } from "./shared/command.ts";
import { help } from "./shared/options.ts";
import { type CommandOutput, standardOutput, tellWritten } from "./shared/output.ts";
import { absolutePath, enterUserFolder } from "./shared/place.ts";

const options = {
  format: takes("FORM", "Output format", {
    short: "f",
    choices: ["table", "markdown", "csv", "json"],
    default: "table",
  }),
  html: takesPath("FILE", "Also write a page with pictures, in one file that needs no network"),
  gallery: takesPath(
    "FILE",
    "Only write a page that lists all files and sorts them by share of the roofline, error, age or name",
  ),
  threshold: takes("PERCENT", "Smallest change that can count as faster or slower", {
    default: "5%",
  }),
  "fail-on-regression": takes(
    "PERCENT",
    "Exit with 3 if anything broke or became slower by more than this; with 4 if the samples cannot tell",
  ),
  "allow-missing": flag(
    "Let --fail-on-regression pass despite missing measurements or an incomplete run",
  ),
  help,
} as const satisfies OptionSpecifications;

const helpText = `Compares result files of deno task bench.

Usage: deno task compare [OPTIONS] BASELINE.json OTHER.json …

With one file it shows that machine alone. With two files it prints, for each measurement, the change from the first to
the second, its 95 % interval, and a verdict: faster, slower, same or ambiguous. With more files it prints a matrix of
all machines with ranks.

A verdict compares the values of several processes, not the samples of one process. A row is faster or slower if its
change is above the threshold and significant (by Welch's test, with Holm's correction over the whole table). For two
runs on one machine, the CPU time must show the change too. Every run of the bench also times a reference kernel, which
never changes. Without CPU times, a row's time divided by the reference kernel's time must show the change. A row is
"same" if the whole interval of the change lies within the threshold. The remarks say why a row is ambiguous, and what
to do. For a file from one process, compare assumes that times differ by 10 % from process to process.

\`deno task bench --beside\` measures two sides, such as two checkouts, and writes one file for each side. It measures in
rounds: each round starts a new process for each side, and the two processes take turns. For these files, compare
divides the times of neighboring turns. The median ratio of a round counts as one value. Both sides ran at the same
clock rate and load, so clock and load cannot explain a change. If the CPU time varies less than the wall time, the
verdict uses the CPU time, and a note says so.

To see how small a change your machine can show, run the same bench twice and compare the two files. The intervals
show the smallest change that would count; every faster or slower row is then a false alarm.

${formatOptions(options)}
Exit codes:
  0    compared
  1    a file cannot be read or written, or nothing is comparable
  2    a mistake in the command line
  3    --fail-on-regression: a regression
  4    --fail-on-regression has no answer: measurements of the first file are missing or a run is incomplete
       (--allow-missing accepts these two), or no measurement is precise enough to show even a doubled time
`;

/** Reads `5%` as 0.05. */
function percentage(name: string, text: string): number {
  const match = /^(\d{1,4}(?:\.\d{1,6})?)\s?%$/.exec(text);
  const share = Number(match?.[1] ?? NaN) / 100;
  if (!(share > 0)) throw wrongValue(name, text, "a percentage such as 5%");
  return share;
}

async function readAll(names: readonly string[]): Promise<NamedResult[]> {
  const results: NamedResult[] = [];
  // One after the other, so the error always names the first bad file.
  for (const name of names) results.push({ name, file: await readResultFile(absolutePath(name)) });
  return results;
}

/** Refuses to overwrite a compared file. */
async function checkTarget(
  option: string,
  { path, inputs }: { readonly path: string; readonly inputs: readonly string[] },
): Promise<void> {
  await checkWritable(path);
  const real = (name: string) => Deno.realPath(name).catch(() => undefined);
  const target = await real(path);
  for (const input of inputs) {
    if (target !== undefined && target === await real(input)) {
      throw new UsageError(`--${option} would replace the result file ${JSON.stringify(input)}`);
    }
  }
}

function formatted(comparison: Comparison, format: string | undefined, color: boolean): string {
  switch (format) {
    case "markdown":
      return formatComparisonMarkdown(comparison);
    case "csv":
      return formatComparisonCsv(comparison);
    case "json":
      return formatComparisonJson(comparison);
    default:
      return formatComparison(comparison, { color });
  }
}

type Request = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return undefined;
  if (operands.length === 0) throw new UsageError("no result file given, wanted at least one");
  const alone = ["html", "format", "threshold", "fail-on-regression", "allow-missing"];
  const other = alone.find((name) => args.some((word) => new RegExp(`^--${name}(=|$)`).test(word)));
  if (values.gallery !== undefined && other !== undefined) {
    throw new UsageError(`--${other} with --gallery, which compares nothing: give one of them`);
  }
  const threshold = percentage("threshold", values.threshold);
  const gate = values["fail-on-regression"];
  const limit = gate === undefined ? undefined : percentage("fail-on-regression", gate);
  if (limit === undefined && switches["allow-missing"]) {
    throw new UsageError("--allow-missing says what --fail-on-regression lets pass: give both");
  }
  const single = values.format === "csv" || values.format === "json"
    ? `--format=${values.format}`
    : gate === undefined
    ? undefined
    : "--fail-on-regression";
  if (operands.length === 1 && single !== undefined) {
    throw new UsageError(`one result file given, wanted at least two for ${single}`);
  }
  const allowMissing = switches["allow-missing"];
  const { html, gallery, format } = values;
  return { operands, threshold, limit, allowMissing, html, gallery, format };
}

async function compare(
  { operands, threshold, limit, allowMissing, html, gallery, format }: NonNullable<Request>,
  output: CommandOutput,
): Promise<number> {
  if (gallery !== undefined) {
    await checkTarget("gallery", { path: gallery, inputs: operands });
    const { renderGallery } = await import("../report/gallery.ts");
    await writeTextFile(gallery, renderGallery(await readAll(operands), Date.now()));
    tellWritten(output, "compare", [gallery]);
    return 0;
  }
  if (html !== undefined) await checkTarget("html", { path: html, inputs: operands });
  const results = await readAll(operands);
  if (results.length === 1) return await showOne(results[0]!.file, { html, format }, output);
  const comparison = compareResultFiles(results, { threshold });
  if (html !== undefined) {
    const [{ renderComparisonPage }, { createSvgDocument }] = await Promise.all([
      import("../report/comparison/page.ts"),
      import("../report/svg_document.ts"),
    ]);
    await writeTextFile(html, renderComparisonPage(comparison, createSvgDocument()));
  }
  output.out(formatted(comparison, format, output.color));
  tellWritten(output, "compare", [html]);
  // CSV has no place for warnings.
  if (format === "csv") {
    for (const warning of comparison.warnings) output.err(`note: ${escapeTerminal(warning)}\n`);
  }
  if (limit === undefined) return 0;
  const { lines, code } = concludeGate(judgeGate(comparison, limit), { limit, allowMissing });
  for (const line of lines) output.err(`${escapeTerminal(line)}\n`);
  return code;
}

/** Shows a single machine's figures. */
async function showOne(
  file: ResultFile,
  { html, format }: { readonly html: string | undefined; readonly format: string | undefined },
  output: CommandOutput,
): Promise<number> {
  const { formatRunMarkdown, renderRunPage } = await import("../report/run_page.ts");
  if (html !== undefined) await writeTextFile(html, renderRunPage(file));
  output.out(
    format === "markdown" ? formatRunMarkdown(file) : formatRun(file, { color: output.color }),
  );
  tellWritten(output, "compare", [html]);
  return 0;
}

/** Runs the command; returns its exit code. */
export async function runCompare(args: readonly string[], output: CommandOutput): Promise<number> {
  return await runCommand(
    {
      name: "compare",
      parse,
      help: () => helpText,
      run: (request) => compare(request, output),
      explains: (error) => error instanceof FileError || error instanceof NothingComparableError,
    },
    args,
    output,
  );
}

if (import.meta.main) {
  enterUserFolder();
  Deno.exitCode = await runCompare(Deno.args, standardOutput());
}
