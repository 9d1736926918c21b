/** The study's live overview: the current runs, the remaining ones and the time left. */
import { escapeTerminal } from "../../escape.ts";
import { armName } from "../../experiments/study/arms.ts";
import { type ArmState, countStates, timeLeft } from "../../experiments/study/runner.ts";
import type { ProgressOutput } from "../shared/progress.ts";

const BAR = 24;
/** The least time between two lines, in ms, if stderr is no terminal. A run's end shows at once. */
const LINE_EVERY = 30_000;
/** In ms, on a terminal. */
const DRAW_EVERY = 200;

export class StudyOverview {
  readonly #output: ProgressOutput;
  readonly #jobs: number;
  #lines = 0;
  #last = -Infinity;
  #ended = 0;

  constructor(output: ProgressOutput, jobs: number) {
    this.#output = output;
    this.#jobs = jobs;
  }

  show(states: readonly ArmState[]): void {
    const { columns, now, write } = this.#output;
    // Some terminals report 0 columns.
    const width = columns() === 0 ? 80 : columns();
    const ended =
      states.filter(({ state, before }) => !before && state !== "waiting" && state !== "running")
        .length;
    const since = now() - this.#last;
    if (ended === this.#ended && since < (width === undefined ? LINE_EVERY : DRAW_EVERY)) return;
    this.#last = now();
    this.#ended = ended;
    const text = overview(states, { jobs: this.#jobs, now: now() });
    if (width === undefined) return write(text.join("  |  ") + "\n");
    this.clear();
    write(text.map((line) => [...line].slice(0, Math.max(1, width - 1)).join("") + "\n").join(""));
    this.#lines = text.length;
  }

  /** Makes room for other output. */
  clear(): void {
    if (this.#lines > 0) this.#output.write(`\x1b[${this.#lines}A\r\x1b[J`);
    this.#lines = 0;
  }
}

/** One line for the whole study, and one for each current run. */
export function overview(
  states: readonly ArmState[],
  { jobs, now }: { readonly jobs: number; readonly now: number },
): string[] {
  const total = states.reduce((sum, { steps }) => sum + steps, 0);
  const done = states.reduce((sum, { step }) => sum + step, 0);
  const share = total === 0 ? 1 : done / total;
  const filled = Math.min(BAR, Math.floor(BAR * share));
  const left = timeLeft(states, { jobs, now });
  const first = [
    "█".repeat(filled) + "░".repeat(BAR - filled),
    `${Math.floor(100 * share)} %`,
    countStates(states),
    ...left === undefined || left <= 0 ? [] : [`${formatSeconds(left)} left`],
  ].join("  ");
  const running = states.filter(({ state }) => state === "running").map((each) => {
    const { arm, step, steps, loss } = each;
    const own = timeLeft([each], { jobs: 1, now });
    return escapeTerminal([
      `  ${armName(arm)}`,
      `step ${step} of ${steps}`,
      ...loss === undefined ? [] : [`loss ${loss.toFixed(4)}`],
      ...own === undefined ? [] : [`${formatSeconds(own)} left`],
    ].join("  "));
  });
  return [first, ...running];
}

/** Writes a duration, such as `45 s`, `3 min 20 s` or `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
}
