/**
 * `deno task tune`: finds the fastest variants for this machine's GPU and keeps them in the user's
 * cache.
 */
import { escapeTerminal } from "../escape.ts";
import { MeasuringChild } from "../measure/child/process.ts";
import type { ChildCommand } from "../processes.ts";
import { MeasuringSession } from "../measure/child/session.ts";
import { listWork } from "../measure/jobs.ts";
import { tune, type TuningOutcome, type TuningWork } from "../measure/tuning.ts";
import { listTuningWork, sessionHeats } from "../measure/tuning/session.ts";
import { storeTuning } from "../measure/tuning/store.ts";
import { candidatesHash, type TunedChoice } from "../ops/tuning/choices.ts";
import { isTuningOff, tuningPlace } from "../ops/tuning/file.ts";
import type { GpuInfo } from "../gpu/gpu_info.ts";
import { formatShape } from "../report/format.ts";
import { UsageError } from "./shared/arguments.ts";
import { runCommand } from "./shared/command.ts";
import { addOperator, type LoadedOperator } from "./shared/custom_operator.ts";
import { childCommand } from "./shared/machine.ts";
import { adapterOption } from "./shared/options.ts";
import { Progress, stderrOutput } from "./shared/progress.ts";
import { type CommandOutput, standardOutput } from "./shared/output.ts";
import { listenForInterrupts } from "./shared/interrupts.ts";
import { enterUserFolder } from "./shared/place.ts";
import { parseTune, tuneHelp, tuneOperator, type TuneRequest } from "./tune/options.ts";
import { formatTuningRun } from "./tune/table.ts";

/** Parts that tests replace. */
export interface TuneHooks {
  /** Default: this process's standard output and error. */
  readonly output?: CommandOutput;
  /** Starts the measuring process. Default: `src/measure/child.ts` with the least permissions. */
  readonly child?: ChildCommand;
  /** How long a measuring process may be silent, in ms. Default 60,000. */
  readonly deadline?: number;
}

/** The default deadline in ms. A kernel that compiles longer is rejected, however fast it runs. */
const DEADLINE = 60_000;
const BUDGET = 300;

/** Runs the command; returns its exit code. */
export async function runTune(args: readonly string[], hooks: TuneHooks = {}): Promise<number> {
  const { output = standardOutput() } = hooks;
  let operator: LoadedOperator | undefined;
  return await runCommand(
    {
      name: "tune",
      async parse(args) {
        operator = await addOperator(tuneOperator(args), hooks.child);
        return parseTune(args, operator?.outline);
      },
      help: tuneHelp,
      run: (request) => measure(request, { hooks, output, operator }),
    },
    args,
    output,
  );
}

async function measure(
  request: TuneRequest,
  { hooks, output, operator }: {
    readonly hooks: TuneHooks;
    readonly output: CommandOutput;
    readonly operator: LoadedOperator | undefined;
  },
): Promise<number> {
  const { selection, dryRun } = request;
  const interrupt = new AbortController();
  const progress = new Progress(stderrOutput());
  let total = 0;
  let current = "";
  const outcomes: TuningOutcome[] = [];
  const command = hooks.child ?? childCommand(selection, operator?.file);
  const session = new MeasuringSession({
    start: () => new MeasuringChild(command),
    // Without `tuning: false` the default variant could be an earlier choice of the tuner.
    adapter: {
      runtime: selection.runtime,
      software: selection.software,
      tuning: false,
      ...adapterOption(selection.adapter),
    },
    deadline: hooks.deadline ?? DEADLINE,
    interrupt: interrupt.signal,
    progress(step, job) {
      if (job === undefined) return;
      current = `${job.kernel} ${job.pass} ${formatShape(job.shape.dimensions)}`;
      const text = `${current}, ${job.variant}: ${step}`;
      progress.show({ done: outcomes.length, total, text });
    },
  });
  const stop = listenForInterrupts(interrupt);
  try {
    const { info } = await session.open();
    if (!dryRun) await checkPlace(info);
    const work = listTuningWork(info, listWork(selection, { software: info.software }));
    if (work.length === 0) throw new UsageError("the selection leaves nothing to choose between");
    total = work.length;
    const budget = selection.budget ?? BUDGET;
    const candidates = work.reduce((sum, each) => sum + each.candidates.length, 0);
    output.err(
      `tune: ${total} calls, ${candidates} candidates, ${budget} s; Ctrl-C ends it and keeps what there is\n`,
    );
    const missed = await tune(work, {
      runHeat: sessionHeats(session, {
        seed: selection.seed,
        targetHalfWidth: info.software ? 0.02 : 0.01,
      }),
      budget,
      now: () => performance.now(),
      interrupted: () => interrupt.signal.aborted,
      async result(outcome) {
        outcomes.push(outcome);
        if (!dryRun) await keep(info, outcome);
      },
    });
    progress.clear();
    const { signal } = interrupt;
    return await conclude({ outcomes, missed, info, request, interrupt: signal, output });
  } finally {
    stop();
    progress.clear();
    await session.close();
  }
}

// Checks before the long tuning that choices can be saved: adds no choices to the file of choices,
// which writes its contents again.
async function checkPlace(info: GpuInfo): Promise<void> {
  await storeTuning(info, []);
}

async function keep(
  info: GpuInfo,
  { work, winner, decided, times }: TuningOutcome,
): Promise<void> {
  if (winner === undefined || !decided) return;
  const { dimensions } = work.shape;
  const choice: TunedChoice = {
    operator: work.operator.operator,
    shapeClass: work.shapeClass,
    dtype: "f32",
    dimensions,
    variant: winner,
    candidatesHash: await candidatesHash(info, work.operator, dimensions),
    times: times as Record<string, number>,
    date: new Date().toISOString(),
  };
  await storeTuning(info, [choice], work.operator.digest);
}

interface Conclusion {
  readonly outcomes: readonly TuningOutcome[];
  readonly missed: readonly TuningWork[];
  readonly info: GpuInfo;
  readonly request: TuneRequest;
  readonly interrupt: AbortSignal;
  readonly output: CommandOutput;
}

async function conclude(
  { outcomes, missed, info, request, interrupt, output }: Conclusion,
): Promise<number> {
  const { out, err, color } = output;
  const name = info.description || info.device || info.vendor;
  out(`${escapeTerminal(name)}, ${info.runtime}\n\n`);
  out(`${formatTuningRun(outcomes, interrupt.aborted ? [] : missed, { color })}\n`);
  const own = request.selection.operator?.digest;
  const place = request.dryRun ? undefined : await tuningPlace(info, own);
  const isKept = outcomes.some(({ decided, winner }) => decided && winner !== undefined);
  if (place !== undefined && isKept) {
    const user = own === undefined ? "openGpu" : "deno task bench --operator";
    err(`tune: kept in ${escapeTerminal(place.path)}; ${user} takes it up\n`);
    if (isTuningOff()) err("tune: but GRADSINK_TUNING=off says that it does not\n");
  }
  if (interrupt.aborted) return 130;
  const faults = outcomes.filter(({ decided, candidates }) =>
    !decided ||
    candidates.some(({ status }) => status !== "timed" && status !== "skipped")
  );
  return missed.length + faults.length > 0 ? 3 : 0;
}

if (import.meta.main) {
  enterUserFolder();
  Deno.exit(await runTune(Deno.args));
}
