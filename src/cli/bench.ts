/** `deno task bench`: measures this machine's GPU and writes a result file. */
import { escapeTerminal } from "../escape.ts";
import { MeasuringChild } from "../measure/child/process.ts";
import type { ChildCommand } from "../processes.ts";
import { BenchRun, describeAdapter } from "../measure/bench_run.ts";
import { MeasuringSession } from "../measure/child/session.ts";
import type { NamedResult } from "../measure/comparison/machine.ts";
import { RESULT_SCHEMA, type ResultFile } from "../measure/result_file.ts";
import { formatResultFile } from "../measure/result_file/parse.ts";
import { writeResultFile } from "../measure/result_file/store.ts";
import { type AdapterChoice, listJobs, listWork, type Work } from "../measure/jobs.ts";
import { formatRun } from "../report/run_table.ts";
import { UsageError } from "./shared/arguments.ts";
import { runCommand } from "./shared/command.ts";
import { childCommand, describeHost, describeRuntime, describeSuite } from "./shared/machine.ts";
import { addOperator, type LoadedOperator } from "./shared/custom_operator.ts";
import { benchHelp, benchOperator, type BenchRequest, parseBench } from "./bench/options.ts";
import { type Selection, selectionOf } from "./bench/selection.ts";
import { adapterOption } from "./shared/options.ts";
import { findBeside } from "./bench/beside.ts";
import { checkOutput, createOutput } from "./bench/output.ts";
import { openResumed, refuseOtherMachine, refuseOtherSuite } from "./bench/resume.ts";
import { besidePath, formatJointRun, newJointRun, openJointRun } from "./bench/joint_run.ts";
import { checkRepository, projectRepository, shareLines } from "./shared/share.ts";
import { Progress, stderrOutput } from "./shared/progress.ts";
import { type CommandOutput, standardOutput, tellWritten } from "./shared/output.ts";
import { listenForInterrupts } from "./shared/interrupts.ts";
import { enterUserFolder } from "./shared/place.ts";

/** Parts that tests replace. */
export interface BenchHooks {
  /** Default: this process's standard output and error. */
  readonly output?: CommandOutput;
  /** Starts the measuring process. Default: `src/measure/child.ts` with the least permissions. */
  readonly child?: ChildCommand;
  /** Starts the measuring process of `--beside`. */
  readonly childBeside?: ChildCommand;
  /** How long a measuring process may be silent, in ms. Default 120,000. */
  readonly deadline?: number;
  /** The repository for `--share`. Default: the `repository` of deno.json. */
  readonly repository?: string;
}

const DEADLINE = 120_000;

/** Runs the command; returns its exit code. */
export async function bench(args: readonly string[], hooks: BenchHooks = {}): Promise<number> {
  const { output = standardOutput() } = hooks;
  let operator: LoadedOperator | undefined;
  return await runCommand(
    {
      name: "bench",
      async parse(args) {
        operator = await addOperator(benchOperator(args), hooks.child);
        return parseBench(args, operator?.outline);
      },
      help: benchHelp,
      run: (request) => measure(request, { args, hooks, output, operator }),
    },
    args,
    output,
  );
}

interface Invocation {
  readonly args: readonly string[];
  readonly hooks: BenchHooks;
  readonly output: CommandOutput;
  readonly operator: LoadedOperator | undefined;
}

async function measure(
  request: BenchRequest,
  { args, hooks, output, operator }: Invocation,
): Promise<number> {
  const repository = hooks.repository ?? projectRepository();
  if (request.share) checkRepository(repository);
  const continued = request.resume === undefined ? undefined : await openResumed(request.resume);
  using _claim = continued?.claim;
  const resumed = continued?.file;
  const selection = resumed === undefined
    ? request.selection
    : selectionOf(resumed.settings, request.selection);
  const suite = await describeSuite();
  if (resumed !== undefined) refuseOtherSuite(resumed.suite, suite);
  await checkOutput(request);
  const beside = request.beside === undefined
    ? undefined
    : await findBeside(request.beside, { selection, suite, operator, child: hooks.childBeside });
  const interrupt = new AbortController();
  const start = (command: ChildCommand, note: string): MeasuringSession =>
    new MeasuringSession({
      start: () => new MeasuringChild(command),
      adapter: {
        runtime: selection.runtime,
        software: selection.software,
        tuning: selection.tuning === "on",
        ...adapterOption(selection.adapter),
      },
      deadline: hooks.deadline ?? DEADLINE,
      interrupt: interrupt.signal,
      progress: (step, job) => run?.show(`${step}${note}`, job),
    });
  const session = start(hooks.child ?? childCommand(selection, operator?.file), "");
  const other = beside && start(beside.command, " (beside)");
  const stop = listenForInterrupts(interrupt);
  let run: BenchRun | undefined;
  const progress = new Progress(stderrOutput());
  try {
    const opened = await session.open();
    const fresh: ResultFile = {
      schema: RESULT_SCHEMA,
      suite,
      date: new Date().toISOString(),
      status: "incomplete",
      ...request.label === undefined ? {} : { label: request.label },
      runtime: describeRuntime(selection.runtime),
      host: await describeHost(),
      adapter: describeAdapter(opened),
      ceilings: {},
      settings: {
        ...settingsOf(selection, args),
        ...beside === undefined ? {} : { jointRun: newJointRun() },
      },
      ...opened.warnings.length > 0 ? { warnings: opened.warnings } : {},
      measurements: [],
    };
    if (resumed !== undefined) refuseOtherMachine(resumed, fresh);
    const work = listWork(selection, { software: opened.info.software });
    const { variants } = selection;
    const found = await session.choose(work, typeof variants === "string" ? [] : variants);
    const known = work.map((each, i) => ({ ...each, ...found[i]! }));
    const jobs = listJobs(selection, known);
    const unfit = describeUnfit(known);
    if (jobs.length === 0 && unfit.length > 0) {
      throw new Error(`nothing of the selection can run here: ${unfit.join("; ")}`);
    }
    if (jobs.length === 0) throw new UsageError("the selection leaves nothing to measure");
    for (const line of unfit) output.err(`bench: left out ${escapeTerminal(line)}\n`);
    const pair = beside === undefined || other === undefined
      ? undefined
      : await openJointRun(beside, {
        session,
        other,
        file: fresh,
        work: known,
        jobs,
        selection,
        interrupt,
      });
    for (const name of pair?.alone ?? []) {
      output.err(`bench: ${escapeTerminal(request.beside!)} has no ${name}: measured alone\n`);
    }
    using created = continued === undefined ? await createOutput(request, fresh) : undefined;
    const path = created?.path ?? request.resume!;
    run = new BenchRun({
      file: resumed ?? fresh,
      opened,
      jobs,
      seed: selection.seed,
      budget: selection.budget,
      inTurns: pair !== undefined,
      async keep(file) {
        await writeResultFile(path, file);
        if (pair !== undefined) await writeResultFile(besidePath(path), pair.file(file));
      },
      progress: (state) => progress.show(state),
    });
    await run.measure(pair?.session ?? session, interrupt.signal);
    progress.clear();
    const interrupted = interrupt.signal.aborted;
    const files = [
      { name: path, file: run.file },
      pair && { name: besidePath(path), file: pair.file(run.file) },
    ] as const;
    const code = conclude(files, { request, interrupted, output });
    if (request.share && run.file.status === "complete") {
      output.err(shareLines(repository!, { path, text: formatResultFile(run.file, path) }));
    }
    return code;
  } finally {
    stop();
    progress.clear();
    await Promise.all([session.close(), other?.close()]);
  }
}

// Lists the variants that cannot run here, with reasons. A reason that several shapes share is
// listed once.
function describeUnfit(work: readonly (Work & AdapterChoice)[]): string[] {
  const lines = work.flatMap(({ kernel, pass, unfit = {} }) =>
    Object.entries(unfit).map(([name, reason]) => `${kernel} ${pass} ${name}: ${reason}`)
  );
  return [...new Set(lines)];
}

function settingsOf(selection: Selection, args: readonly string[]): ResultFile["settings"] {
  const { seed, budget, ...rest } = selection;
  return {
    grid: typeof selection.shapes === "string" ? selection.shapes : "named",
    seed,
    arguments: args.slice(0, 200),
    selection: { ...rest, ...budget === undefined ? {} : { budget } },
  };
}

function conclude(
  files: readonly [own: NamedResult, beside: NamedResult | undefined],
  { request: { json, wide }, interrupted, output }: {
    readonly request: BenchRequest;
    readonly interrupted: boolean;
    readonly output: CommandOutput;
  },
): number {
  const { out, err, color } = output;
  const [{ file, name }, beside] = files;
  if (beside !== undefined) out(formatJointRun(files[0], beside, { json, color }));
  else out(json ? formatResultFile(file, name) : `${formatRun(file, { color, wide })}\n`);
  const complete = file.status === "complete";
  if (complete) tellWritten(output, "bench", [name, beside?.name]);
  else {
    err(
      beside === undefined
        ? `bench: interrupted; go on with: deno task bench --resume=${escapeTerminal(name)}\n`
        : "bench: interrupted; what is done is in " +
          `${escapeTerminal(name)} and ${escapeTerminal(beside.name)}\n`,
    );
  }
  if (interrupted || !complete) return 130;
  const measurements = files.flatMap((each) => each?.file.measurements ?? []);
  const bad = measurements.filter(({ status = "ok" }) => status !== "ok");
  if (bad.length === 0) return 0;
  err(`bench: ${bad.length} of ${measurements.length} measurements are not ok\n`);
  return 3;
}

if (import.meta.main) {
  enterUserFolder();
  Deno.exit(await bench(Deno.args));
}
