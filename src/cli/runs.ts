/** `deno task runs`: compares training runs as a page, a table or CSV. */
import { RunError } from "../experiments/run/error.ts";
import { readRuns } from "../experiments/run/read.ts";
import { checkWritable, writeTextFile } from "../files/write.ts";
import { FileError } from "../files/file_error.ts";
import { formatRunsCsv } from "../report/runs/csv.ts";
import { endTable, renderRunsPage, settingsTable } from "../report/runs/page.ts";
import { runRows } from "../report/runs/rows.ts";
import { createSvgDocument } from "../report/svg_document.ts";
import { formatTerminalTable } from "../report/table.ts";
import {
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  takesPath,
  UsageError,
} from "./shared/arguments.ts";
import { runCommand } from "./shared/command.ts";
import { help } from "./shared/options.ts";
import { type CommandOutput, standardOutput, tellWritten } from "./shared/output.ts";
import { absolutePath, enterUserFolder } from "./shared/place.ts";

const options = {
  csv: takesPath(
    "FILE",
    "Write every number as CSV: run, seed, v_scale, step, quantity, layer, head, value, low, high",
  ),
  html: takesPath("FILE", "Write a page that plots the runs' curves together"),
  help,
} as const satisfies OptionSpecifications;

const helpText = `Compares training runs of deno task train, finished or not.

Usage: deno task runs [OPTIONS] RUN …

RUN is a run's folder. Without an option it prints the last measurement of every run and the settings that differ.

${formatOptions(options)}
Exit codes:
  0    shown
  1    a folder holds no run, or a file cannot be written
  2    a mistake in the command line
`;

/** Runs the command; returns its exit code. */
export async function showRuns(args: readonly string[], output: CommandOutput): Promise<number> {
  return await runCommand(
    {
      name: "runs",
      parse: (given) => {
        const { switches, values, operands } = parseArguments(given, { options });
        if (switches.help) return undefined;
        if (operands.length === 0) throw new UsageError("no run is given: deno task runs RUN …");
        const folders = operands.map(absolutePath);
        const twice = operands.find((_, i) => folders.indexOf(folders[i]!) < i);
        if (twice !== undefined) throw new UsageError(`${twice} is given twice`);
        return { folders, csv: values.csv, html: values.html };
      },
      help: () => helpText,
      run: async ({ folders, csv, html }) => {
        for (const path of [csv, html]) if (path !== undefined) await checkWritable(path);
        const runs = await readRuns(folders);
        if (csv !== undefined) await writeTextFile(csv, formatRunsCsv(runRows(runs)));
        if (html !== undefined) {
          await writeTextFile(html, renderRunsPage(runs, createSvgDocument()));
        }
        const tables = [endTable(runs), settingsTable(runs)].filter(({ rows }) => rows.length > 0);
        output.out(
          tables.map((table) => formatTerminalTable(table, { color: output.color })).join("\n"),
        );
        tellWritten(output, "runs", [csv, html]);
        return 0;
      },
      explains: (error) => error instanceof RunError || error instanceof FileError,
    },
    args,
    output,
  );
}

if (import.meta.main) {
  enterUserFolder();
  Deno.exitCode = await showRuns(Deno.args, standardOutput());
}
