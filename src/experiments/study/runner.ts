/**
 * Runs a study's arms, each in its own process and several at a time. When the signal is aborted,
 * the running arms save and stop.
 */
import { readLines } from "../../files/json_lines.ts";
import type { ChildCommand } from "../../processes.ts";
import { armName, type StudyArm } from "./arms.ts";

export type RunReport =
  | {
    readonly type: "progress";
    readonly step: number;
    readonly steps: number;
    readonly loss?: number;
  }
  | { readonly type: "note"; readonly text: string };

/** Exit code of a stopped, resumable run. */
export const INTERRUPTED = 130;

/** The state of an arm. */
export interface ArmState {
  readonly arm: StudyArm;
  readonly state: "waiting" | "running" | "finished" | "failed" | "stopped";
  /** Whether the arm was finished before this call of the runner. */
  readonly before: boolean;
  readonly step: number;
  readonly steps: number;
  readonly loss: number | undefined;
  /** The process's first report of progress: the step, and the time in ms by `StudyRun.now`. */
  readonly started: { readonly at: number; readonly step: number } | undefined;
  /** How long the arm's process took; undefined unless it has finished in this call. */
  readonly seconds: number | undefined;
  /** Why the run failed, in one line. */
  readonly reason: string | undefined;
}

/** Options of {@linkcode runStudy}. */
export interface StudyRun {
  readonly arms: readonly StudyArm[];
  readonly steps: number;
  /** The number of processes at a time. */
  readonly jobs: number;
  /** Whether an arm is already finished. */
  readonly isFinished: (arm: StudyArm) => Promise<boolean>;
  /** The command that starts an arm's process. */
  readonly command: (arm: StudyArm) => ChildCommand;
  /** When it is aborted, the running arms save and stop, and no other arm starts. */
  readonly signal: AbortSignal;
  /** Called whenever a state has changed. */
  readonly show: (states: readonly ArmState[]) => void;
  /** The runner's clock, in milliseconds since any fixed moment. Default: `performance.now`. */
  readonly now?: () => number;
  /**
   * How long, in ms, a process may take to save and end after `signal` is aborted. Then it is
   * killed. Default 60,000.
   */
  readonly patience?: number;
}

/**
 * Runs every unfinished arm. An arm is a setting, a variant and a seed. If an arm fails, the others
 * still run.
 *
 * @returns the final state of each arm
 * @throws {Deno.errors.NotFound} if the program that `command` names is missing
 * @throws {Deno.errors.NotCapable} without the permission to start that program
 */
export async function runStudy(run: StudyRun): Promise<ArmState[]> {
  const { arms, steps, jobs, signal, show } = run;
  const states: ArmState[] = [];
  for (const arm of arms) {
    const before = await run.isFinished(arm);
    states.push({
      arm,
      state: before ? "finished" : "waiting",
      before,
      step: before ? steps : 0,
      steps,
      loss: undefined,
      started: undefined,
      seconds: undefined,
      reason: undefined,
    });
  }
  const update = (index: number, change: Partial<ArmState>): void => {
    states[index] = { ...states[index]!, ...change };
    show(states);
  };
  const work = async (): Promise<void> => {
    while (!signal.aborted) {
      const index = states.findIndex(({ state }) => state === "waiting");
      if (index === -1) return;
      update(index, { state: "running" });
      await runArm(index, states[index]!.arm, { run, update });
    }
  };
  show(states);
  await Promise.all(Array.from({ length: jobs }, work));
  return states;
}

async function runArm(
  index: number,
  arm: StudyArm,
  { run, update }: {
    readonly run: StudyRun;
    readonly update: (index: number, change: Partial<ArmState>) => void;
  },
): Promise<void> {
  const { signal, now = () => performance.now(), patience = 60_000 } = run;
  const began = now();
  const { command, args } = run.command(arm);
  // If the program or the permission to run it is missing, this throws and ends the study: no other
  // arm could start either.
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  let killer: ReturnType<typeof setTimeout> | undefined;
  const stop = (): void => {
    kill(child, "SIGTERM");
    killer = setTimeout(() => kill(child, "SIGKILL"), patience);
  };
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop);
  let started: ArmState["started"];
  const follow = async (): Promise<void> => {
    for await (const report of readLines<RunReport>(child.stdout)) {
      if (report.type !== "progress") continue;
      const { step, loss } = report;
      started ??= { at: now(), step };
      update(index, { step, started, ...loss === undefined ? {} : { loss } });
    }
  };
  const [, tail, { code, signal: ended }] = await Promise.all([
    follow(),
    lastLines(child.stderr),
    child.status,
  ]);
  signal.removeEventListener("abort", stop);
  clearTimeout(killer);
  if (code === 0) {
    const seconds = (now() - began) / 1000;
    return update(index, { state: "finished", step: run.steps, seconds });
  }
  if (signal.aborted || code === INTERRUPTED) return update(index, { state: "stopped" });
  const how = ended === null ? `ended with code ${code}` : `ended by ${ended}`;
  update(index, { state: "failed", reason: tail === "" ? how : tail });
}

/**
 * Finds the line that says why a process failed. Among the last 4,000 characters of `stream` it is
 * the first line that names an error, or else the last line.
 */
async function lastLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    text = (text + part).slice(-4000);
  }
  const lines = text.split("\n").map((line) => line.trim())
    .filter((line) => line !== "" && !/XDG_RUNTIME_DIR/.test(line));
  return (lines.find((line) => /^error|error:|panicked/i.test(line)) ?? lines.at(-1) ?? "")
    .slice(0, 500);
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // The process has ended already.
  }
}

/**
 * Estimates the study's remaining time in seconds from the paces of its arms, in seconds per step.
 * Every running or waiting arm is assumed to go at the mean known pace of the arms of its setting.
 * If none of these paces is known, the mean is over all arms with a known pace.
 *
 * @param options the number of concurrent runs, and the current time on the runner's clock in ms
 * @returns undefined while no pace is known
 */
export function timeLeft(
  states: readonly ArmState[],
  { jobs, now }: { readonly jobs: number; readonly now: number },
): number | undefined {
  const paces = states.flatMap(({ arm, state, steps, step, started, seconds }) => {
    if (seconds !== undefined && started !== undefined && steps > started.step) {
      return [{ arm, pace: seconds / (steps - started.step) }];
    }
    if (state !== "running" || started === undefined || step <= started.step) return [];
    return [{ arm, pace: (now - started.at) / 1000 / (step - started.step) }];
  });
  if (paces.length === 0) return undefined;
  const mean = (list: typeof paces) => list.reduce((sum, { pace }) => sum + pace, 0) / list.length;
  const rest = states.flatMap(({ arm, state, step, steps }) => {
    if (state !== "running" && state !== "waiting") return [];
    const own = paces.filter((each) => each.arm.setting === arm.setting);
    return [mean(own.length > 0 ? own : paces) * (steps - step)];
  });
  const total = rest.reduce((sum, each) => sum + each, 0);
  // More processes do not shorten a single arm, so the study lasts at least as long as the arm with
  // the most time left.
  return Math.max(total / Math.max(1, Math.min(jobs, rest.length)), ...rest);
}

export function countStates(states: readonly ArmState[]): string {
  const count = (state: ArmState["state"]) => states.filter((each) => each.state === state).length;
  const parts = (["finished", "running", "waiting", "stopped", "failed"] as const)
    .map((state) => [count(state), state] as const)
    .filter(([n]) => n > 0)
    .map(([n, state]) => `${n} ${state}`);
  return parts.length === 0 ? "no runs" : parts.join(", ");
}

export function failures(states: readonly ArmState[]): string[] {
  return states.flatMap(({ arm, state, reason }) =>
    state === "failed" ? [`${armName(arm)}: ${reason}`] : []
  );
}
