/** `deno task bench`: measures this machine's GPU and writes a result file. */
import { escapeTerminal } from "../escape.ts";
import { type ChildCommand, MeasuringChild } from "../measure/child_process.ts";
import { MeasuringSession, type OpenedAdapter } from "../measure/child_session.ts";
import type { Job } from "../measure/child_protocol.ts";
import { mergeCeilings } from "../measure/ceilings.ts";
import { adapterName, isSameMachine } from "../measure/comparison_machine.ts";
import {
  type Measurement,
  RESULT_SCHEMA,
  type ResultFile,
  ResultFileError,
} from "../measure/result_file.ts";
import { formatResultFile } from "../measure/result_file_parse.ts";
import { checkWritable, readResultFile, writeResultFile } from "../measure/result_file_store.ts";
import { batchJobs, isOf, listJobs, listWork } from "../measure/run_jobs.ts";
import type { StoppingRule } from "../measure/stopping.ts";
import { UsageError } from "./arguments.ts";
import { childCommand, describeHost, describeRuntime, describeSuite } from "./bench_machine.ts";
import {
  benchHelp,
  type BenchRequest,
  parseBench,
  type Selection,
  selectionOf,
} from "./bench_options.ts";
import { Progress, stderrOutput } from "./bench_progress.ts";
import { formatRun } from "./bench_table.ts";

/** What a test replaces. */
export interface BenchHooks {
  /** The measuring process. Default: `src/measure/child.ts` under the least permissions. */
  readonly child?: ChildCommand;
  /** How long a measuring process may be silent, in ms. Default 120,000. */
  readonly deadline?: number;
}

type Request = Extract<BenchRequest, { help: false }>;

/** The folder of result files, below the current one. */
const RESULTS = "results";
const DEADLINE = 120_000;
const BUDGET = { hardware: 240, software: 180 };
/** A measurement gets at least this long, in seconds, however little of the budget is left. */
const LEAST_SECONDS = 0.5;

/**
 * Runs the bench.
 *
 * @param args the command line
 * @param hooks for tests
 * @returns the exit code
 */
export async function bench(args: readonly string[], hooks: BenchHooks = {}): Promise<number> {
  try {
    const request = parseBench(args);
    if (!request.help) return await measure(request, { args, hooks });
    console.log(benchHelp());
    return 0;
  } catch (error) {
    const usage = error instanceof UsageError;
    const message = error instanceof Error ? error.message : String(error);
    console.error(`bench: ${escapeTerminal(message.replaceAll(/\s+/g, " "))}`);
    return usage ? 2 : 1;
  }
}

interface Invocation {
  readonly args: readonly string[];
  readonly hooks: BenchHooks;
}

async function measure(request: Request, { args, hooks }: Invocation): Promise<number> {
  const resumed = request.resume === undefined ? undefined : await readResumed(request.resume);
  const selection = resumed === undefined
    ? request.selection
    : selectionOf(resumed.settings, request.selection.budget);
  const suite = await describeSuite();
  if (resumed !== undefined && resumed.suite.version !== suite.version) {
    throw new UsageError(
      `--resume: the file was made by version ${resumed.suite.version}, this is ${suite.version}`,
    );
  }
  await checkOutput(request);
  const interrupt = new AbortController();
  const command = hooks.child ?? await childCommand(selection.runtime);
  const session = new MeasuringSession({
    start: () => new MeasuringChild(command),
    adapter: {
      runtime: selection.runtime,
      software: selection.software,
      tuning: selection.tuning === "on",
    },
    deadline: hooks.deadline ?? DEADLINE,
    interrupt: interrupt.signal,
    progress: (step, job) => run?.show(step, job),
  });
  const stop = listenForInterrupts(interrupt);
  let run: Run | undefined;
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
      adapter: adapterOf(opened),
      ceilings: {},
      settings: settingsOf(selection, args),
      ...opened.warnings.length > 0 ? { warnings: opened.warnings } : {},
      measurements: [],
    };
    if (resumed !== undefined && !isSameMachine(resumed, fresh)) {
      throw new UsageError(
        `--resume: the file was measured on ${adapterName(resumed)}, this is ${adapterName(fresh)}`,
      );
    }
    const path = request.resume ?? request.out ?? await defaultPath(fresh);
    const work = listWork(selection, { software: opened.info.software });
    const chosen = await session.choose(work);
    const jobs = listJobs(selection, work.map((each, i) => ({ ...each, ...chosen[i]! })));
    if (jobs.length === 0) throw new UsageError("the selection leaves nothing to measure");
    run = new Run({ file: resumed ?? fresh, path, selection, opened, jobs });
    await run.measure(session, interrupt.signal);
    return await conclude(run, { request, interrupted: interrupt.signal.aborted });
  } finally {
    stop();
    run?.progress.clear();
    await session.close();
  }
}

async function readResumed(path: string): Promise<ResultFile> {
  const file = await readResultFile(path);
  if (file.status !== "incomplete") throw new UsageError(`--resume: ${path} is complete`);
  return file;
}

// Everything that could make the work useless in the end is found before it begins.
async function checkOutput({ out, resume }: Request): Promise<void> {
  const path = resume ?? out;
  if (path === undefined) {
    await Deno.mkdir(RESULTS, { recursive: true }).catch((error: Error) => {
      throw new ResultFileError(`${RESULTS}: cannot be made: ${error.message}`);
    });
    return await checkWritable(`${RESULTS}/new.json`);
  }
  if (out !== undefined && await exists(out)) {
    throw new UsageError(`--out: ${out} exists already; choose another name, or --resume it`);
  }
  await checkWritable(path);
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await Deno.lstat(path)).isFile;
  } catch {
    return false; // a folder, or what else is in the way, is for checkWritable to tell
  }
}

async function defaultPath(file: ResultFile): Promise<string> {
  const date = file.date.replace(/\..*/, "").replaceAll(":", "-");
  const adapter = file.adapter.description || file.adapter.vendor;
  const name = [adapter, file.runtime.name, file.label ?? ""].join(" ").toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "").slice(0, 80);
  for (let number = 1;; number++) {
    const path = `${RESULTS}/${date}-${name}${number === 1 ? "" : `-${number}`}.json`;
    if (!await exists(path)) return path;
  }
}

function adapterOf({ info }: OpenedAdapter): ResultFile["adapter"] {
  const { runtime: _, ...adapter } = info;
  return adapter;
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

function listenForInterrupts(interrupt: AbortController): () => void {
  const signals: readonly Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM"];
  const listener = (): void => interrupt.abort();
  for (const signal of signals) Deno.addSignalListener(signal, listener);
  return () => {
    for (const signal of signals) Deno.removeSignalListener(signal, listener);
  };
}

/** A run under way: the result file as it stands, on disk after every result. */
class Run {
  readonly path: string;
  readonly progress = new Progress(stderrOutput());
  readonly #selection: Selection;
  readonly #opened: OpenedAdapter;
  #jobs: readonly Job[];
  #file: ResultFile;
  #text = "";

  constructor({ file, path, selection, opened, jobs }: {
    readonly file: ResultFile;
    readonly path: string;
    readonly selection: Selection;
    readonly opened: OpenedAdapter;
    readonly jobs: readonly Job[];
  }) {
    this.path = path;
    this.#selection = selection;
    this.#opened = opened;
    this.#jobs = jobs;
    // What an interrupt cut short is measured again.
    const measurements = file.measurements.filter((each) => each.stopReason !== "interrupted");
    this.#file = { ...file, measurements };
  }

  get file(): ResultFile {
    return this.#file;
  }

  show(step: string, job?: Job): void {
    if (job !== undefined) this.#text = `${job.kernel} ${job.pass} ${job.shape.name}`;
    const text = job === undefined ? step : `${this.#text}, ${step}`;
    this.progress.show({ done: this.#done.length, total: this.#jobs.length, text });
  }

  get #done(): readonly Job[] {
    return this.#jobs.filter((job) => this.#file.measurements.some((each) => isOf(each, job)));
  }

  async measure(session: MeasuringSession, interrupt: AbortSignal): Promise<void> {
    const { seed } = this.#selection;
    const { software } = this.#opened.info;
    const start = performance.now();
    const seconds = this.#selection.budget ?? (software ? BUDGET.software : BUDGET.hardware);
    const base = {
      targetHalfWidth: software ? 0.02 : 0.01,
      minimumSamples: 10,
      maximumSamples: 200,
    };
    const { settings } = this.#file;
    await this.#write({
      settings: {
        ...settings,
        targetHalfWidth: base.targetHalfWidth,
        maximumSamples: base.maximumSamples,
        budgetSeconds: seconds,
      },
    });
    await this.#measureCeilings(session);
    const done = this.#done;
    const left = this.#jobs.filter((job) => !done.includes(job));
    let waiting = left.length;
    for (const jobs of batchJobs(left, seed)) {
      if (interrupt.aborted) break;
      const spent = (performance.now() - start) / 1000;
      const share = Math.max(LEAST_SECONDS, (seconds - spent) / waiting);
      const rule: StoppingRule = { ...base, budget: 1e9 * share };
      waiting -= jobs.length;
      await session.measure({
        jobs,
        rule,
        seed,
        result: (_job, measurement) => this.#add(measurement),
        skipped: (job) => this.#jobs = this.#jobs.filter((other) => other !== job),
      });
    }
    // Once more: whatever else the machine did at the beginning, it may have ended since.
    if (!interrupt.aborted && left.length > 0) await this.#measureCeilings(session);
    const complete = this.#done.length === this.#jobs.length &&
      this.#file.measurements.every((each) => each.stopReason !== "interrupted");
    await this.#write({ status: complete ? "complete" : "incomplete" });
  }

  async #measureCeilings(session: MeasuringSession): Promise<void> {
    const found = await session.ceilings();
    const warnings = [...new Set([...this.#file.warnings ?? [], ...found.warnings])];
    const ceilings = mergeCeilings(this.#file.ceilings, found.ceilings);
    await this.#write({ ceilings, ...warnings.length > 0 ? { warnings } : {} });
  }

  async #add(measurement: Measurement): Promise<void> {
    const measurements = [...this.#file.measurements, measurement];
    // In the order of the jobs, whatever the order of measuring was.
    const place = (each: Measurement): number => this.#jobs.findIndex((job) => isOf(each, job));
    measurements.sort((a, b) => place(a) - place(b));
    await this.#write({ measurements });
    this.show("done");
  }

  async #write(changes: Partial<ResultFile>): Promise<void> {
    this.#file = { ...this.#file, ...changes };
    await writeResultFile(this.path, this.#file);
  }
}

async function conclude(
  run: Run,
  { request, interrupted }: { readonly request: Request; readonly interrupted: boolean },
): Promise<number> {
  const { file, path, progress } = run;
  progress.clear();
  if (request.json) await print(formatResultFile(file, path));
  else await print(formatRun(file, { color: Deno.stdout.isTerminal() && !Deno.noColor }));
  const bad = file.measurements.filter(({ status = "ok" }) => status !== "ok");
  if (file.status !== "complete") {
    console.error(
      `bench: interrupted; go on with: deno task bench --resume=${escapeTerminal(path)}`,
    );
  } else console.error(`bench: written to ${escapeTerminal(path)}`);
  if (interrupted || file.status !== "complete") return 130;
  if (bad.length === 0) return 0;
  console.error(`bench: ${bad.length} of ${file.measurements.length} measurements are not ok`);
  return 3;
}

async function print(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text.endsWith("\n") ? text : `${text}\n`);
  try {
    for (let offset = 0; offset < bytes.length;) {
      offset += await Deno.stdout.write(bytes.subarray(offset));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error; // the reader has seen enough
  }
}

if (import.meta.main) Deno.exit(await bench(Deno.args));
