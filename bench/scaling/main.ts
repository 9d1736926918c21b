/** `deno task bench:scaling`: how time and memory grow with the lengths of a call. */
import {
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  takes,
  takesPath,
  UsageError,
} from "../../src/cli/shared/arguments.ts";
import {
  childCommand,
  describeHost,
  describeRuntime,
  describeSuite,
} from "../../src/cli/shared/machine.ts";
import { Progress, stderrOutput } from "../../src/cli/shared/progress.ts";
import {
  budgetSeconds,
  help,
  refuseOperands,
  runtime,
  type RuntimeChoice,
  seed,
  software,
  type SoftwareChoice,
  tuning,
  wholeNumber,
} from "../../src/cli/shared/options.ts";
import { type CommandProcess, runAsProcess } from "../../src/cli/shared/command.ts";
import { tellWritten } from "../../src/cli/shared/output.ts";
import { MeasuringChild } from "../../src/measure/child/process.ts";
import { MeasuringSession } from "../../src/measure/child/session.ts";
import { checkWritable, writeTextFile } from "../../src/files/write.ts";
import { scalingSeries } from "./series.ts";
import { standalonePicture } from "../../src/report/plot_parts.ts";
import { createSvgDocument } from "../../src/report/svg_document.ts";
import { formatTerminalTable } from "../../src/report/table.ts";
import { scalingPicture, scalingTable } from "./picture.ts";
import { type EarlierRun, parseEarlier, SCALING_SCHEMA } from "./resume.ts";
import type { SeriesResult } from "./result.ts";
import { runScaling } from "./run.ts";

const options = {
  longest: takes("TOKENS", "The most tokens or rows of a call", { default: "16384" }),
  runtime,
  software,
  tuning,
  budget: takes(
    "SECONDS",
    "Approximate time of all sampling; a call is left out if one run takes over a twentieth of it",
    { default: "240" },
  ),
  seed: { ...seed, description: "Seed of the inputs" },
  out: takesPath("NAME", "Write NAME.json and NAME.svg", { default: "results/scaling" }),
  resume: takesPath(
    "FILE",
    "Keep an earlier run's results on this adapter, and measure the rest",
  ),
  help,
} as const satisfies OptionSpecifications;

const helpText = `Measures how time and memory grow with a call's lengths, and draws a picture.

Usage: deno task bench:scaling [OPTIONS]

${formatOptions(options)}
Attention is measured at 128 to 16,384 tokens. On a CPU adapter, calls with many tokens have fewer heads, which does not
change the cost per unit of work. A call's time counts only if its answer is right.

Exit codes:
  0    everything was measured, or left out because it would take too long
  1    the run could not start or continue
  2    a mistake in the command line
  3    some kernels were wrong, failed or timed out
  130  interrupted
`;

interface Request {
  readonly longest: number;
  readonly runtime: RuntimeChoice;
  readonly software: SoftwareChoice;
  readonly tuning: boolean;
  readonly budget: number;
  readonly seed: number;
  readonly out: string;
  readonly resume: string | undefined;
}

function parse(args: readonly string[]): Request | undefined {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return undefined;
  refuseOperands(operands, "bench:scaling");
  const longest = wholeNumber("longest", values.longest);
  if (longest < 128) {
    throw new UsageError(
      `--longest is ${longest}, wanted at least 128, the shortest of attention's`,
    );
  }
  return {
    longest,
    runtime: values.runtime,
    software: values.software,
    tuning: values.tuning === "on",
    budget: budgetSeconds(values.budget),
    seed: wholeNumber("seed", values.seed),
    out: values.out,
    resume: values.resume,
  };
}

async function run(
  request: Request,
  { interrupt, output }: CommandProcess,
): Promise<number> {
  const { runtime, software, tuning, budget, seed, longest } = request;
  const earlier = request.resume === undefined ? undefined : await readEarlier(request.resume);
  for (const ending of ["json", "svg"]) await checkWritable(`${request.out}.${ending}`);
  const command = childCommand({ runtime });
  const progress = new Progress(stderrOutput());
  const session = new MeasuringSession({
    start: () => new MeasuringChild(command),
    adapter: { runtime, software, tuning },
    deadline: 600_000,
    interrupt,
  });
  try {
    const { info } = await session.open();
    const name = info.description || info.device || info.vendor;
    const suite = await describeSuite();
    if (earlier !== undefined && (earlier.adapter !== name || earlier.version !== suite.version)) {
      throw new UsageError(
        `--resume: the file is of version ${earlier.version} on ${earlier.adapter}, ` +
          `this is version ${suite.version} on ${name}`,
      );
    }
    let written: readonly string[] = [];
    const series = scalingSeries({ software: info.software, longest });
    const results = await runScaling(series, {
      session,
      info,
      budget,
      seed,
      earlier,
      progress: (done, total, text) => progress.show({ done, total, text }),
      interrupted: () => interrupt.aborted,
      // Write after each call, so that the file has its result however the run ends.
      async result(results) {
        written = await write(results, { request, adapter: name, suite, earlier });
      },
    });
    progress.clear();
    const table = formatTerminalTable(scalingTable(results, { caption: name }), output);
    output.out(`${table}\n`);
    tellWritten(output, "bench:scaling", written);
    if (interrupt.aborted) return 130;
    const bad = results.some(({ points }) =>
      points.some(({ status }) => status !== "ok" && status !== "left-out")
    );
    return bad ? 3 : 0;
  } finally {
    progress.clear();
    await session.close();
  }
}

async function readEarlier(path: string): Promise<EarlierRun> {
  const earlier = parseEarlier(await Deno.readTextFile(path));
  if (earlier === undefined) throw new UsageError(`--resume: ${path} is no file of this command`);
  return earlier;
}

/** Writes the results and their picture, and returns the paths. */
async function write(
  results: readonly SeriesResult[],
  { request, adapter, suite, earlier }: {
    readonly request: Request;
    readonly adapter: string;
    readonly suite: Awaited<ReturnType<typeof describeSuite>>;
    readonly earlier: EarlierRun | undefined;
  },
): Promise<string[]> {
  const { out, ...settings } = request;
  const runtime = describeRuntime(request.runtime);
  const file = {
    schema: SCALING_SCHEMA,
    suite,
    date: new Date().toISOString(),
    runtime,
    host: await describeHost(),
    adapter,
    settings,
    ...earlier === undefined ? {} : { earlier: { commit: earlier.commit, date: earlier.date } },
    series: results,
  };
  const [json, svg] = [`${out}.json`, `${out}.svg`];
  await writeTextFile(json, JSON.stringify(file, undefined, 1) + "\n");
  const machine = `${adapter}, ${runtime.name} ${runtime.version ?? ""}`;
  const picture = scalingPicture(results, { document: createSvgDocument(), machine });
  if (picture === undefined) return [json];
  await writeTextFile(svg, standalonePicture(picture));
  return [json, svg];
}

if (import.meta.main) {
  await runAsProcess({ name: "bench:scaling", parse, help: () => helpText, run });
}
