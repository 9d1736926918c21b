/** `deno task compilers`: what GPUs' compilers make of the kernels. */
import { type CommandProcess, runAsProcess } from "../../src/cli/shared/command.ts";
import { type CommandOutput, tellWritten } from "../../src/cli/shared/output.ts";
import { Progress, stderrOutput } from "../../src/cli/shared/progress.ts";
import { escapeTerminal } from "../../src/escape.ts";
import { formatTerminalTable } from "../../src/report/table.ts";
import { compileOn, type GpuResult } from "./child.ts";
import { defaultDriversFolder } from "./folder.ts";
import { compilersHelp, type CompilersRequest, parseCompilers } from "./options.ts";
import { prepareDrivers } from "./prepare.ts";
import {
  formatJson,
  formatMarkdown,
  kernelText,
  longTable,
  type Report,
  reportOf,
  spillingDefaults,
} from "./report.ts";

async function run(
  request: CompilersRequest,
  { interrupt, output }: CommandProcess,
): Promise<number> {
  const folder = request.drivers === undefined
    ? defaultDriversFolder()
    : await Deno.mkdir(request.drivers, { recursive: true })
      .then(() => Deno.realPath(request.drivers!));
  const progress = new Progress(stderrOutput());
  const results: GpuResult[] = [];
  try {
    for (const [i, gpu] of request.gpus.entries()) {
      const drivers = await prepareDrivers(gpu, {
        folder,
        interrupt,
        notice(text) {
          progress.clear();
          output.err(`compilers: ${text}\n`);
        },
      });
      results.push(
        await compileOn(gpu, {
          ...request,
          drivers,
          kept: `${folder}/results`,
          interrupt,
          progress: (done, total, text) =>
            // The total assumes that every GPU has as many kernels as this one.
            progress.show({ done: i * total + done, total: request.gpus.length * total, text }),
        }),
      );
    }
  } catch (error) {
    if (!interrupt.aborted) throw error;
  } finally {
    progress.clear();
  }
  const report = reportOf(results);
  output.out(format(request, { report, results, color: output.color }));
  if (report.rows.length > 0) tellWritten(output, "compilers", [request.keep]);
  return interrupt.aborted ? 130 : conclude(report, { check: request.check, output });
}

function format(
  { format, runtime }: CompilersRequest,
  { report, results, color }: {
    readonly report: Report;
    readonly results: readonly GpuResult[];
    readonly color: boolean;
  },
): string {
  if (format === "json") return formatJson(report, results, runtime);
  if (report.rows.length === 0) return "";
  return format === "markdown"
    ? formatMarkdown(report, ["deno task compilers", ...Deno.args].join(" "))
    : formatTerminalTable(longTable(report), { color });
}

// Reports the failures, and returns the exit code.
function conclude(
  report: Report,
  { check, output }: { readonly check: boolean; readonly output: CommandOutput },
): number {
  const tell = (line: string) => output.err(`compilers: ${escapeTerminal(line)}\n`);
  for (const { gpu, kernel, reason } of report.failures) {
    tell([gpu, ...kernel === "" ? [] : [kernel], reason].join(": "));
  }
  const spilling = check ? spillingDefaults(report) : [];
  for (const row of spilling) tell(`${row.gpu}: ${kernelText(row)} spills ${row.spills} registers`);
  if (report.rows.length === 0 && report.failures.length === 0) {
    tell("the selection leaves nothing to compile");
    return 1;
  }
  return report.failures.length + spilling.length > 0 ? 3 : 0;
}

if (import.meta.main) {
  await runAsProcess(
    { name: "compilers", parse: parseCompilers, help: compilersHelp, run },
    { secondExits: true },
  );
}
