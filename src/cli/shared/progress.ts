/**
 * The bench's progress on stderr: a bar with the time left on a terminal, plain lines elsewhere.
 */

import { writeAll } from "./output.ts";

/** Where progress goes. */
export interface ProgressOutput {
  /** Writes text at once. */
  readonly write: (text: string) => void;
  /** Columns of the terminal; undefined if it is none. */
  readonly columns: () => number | undefined;
  /** Milliseconds from any origin. */
  readonly now: () => number;
}

/** A run's progress. */
export interface ProgressState {
  readonly done: number;
  readonly total: number;
  /** What is being done. */
  readonly text: string;
  /** Seconds that are left of a time limit, where there is one. */
  readonly secondsLeft?: number;
}

const BAR = 24;
/** Without a terminal, a line at most this often, in ms. */
const LINE_EVERY = 5_000;

/**
 * Shows how far a run is.
 */
export class Progress {
  readonly #output: ProgressOutput;
  readonly #start: number;
  #lastLine = -Infinity;
  #lastDone = -1;
  #shown = false;

  /** Shows nothing yet. */
  constructor(output: ProgressOutput) {
    this.#output = output;
    this.#start = output.now();
  }

  /** Shows where the run stands now. */
  show(state: ProgressState): void {
    const { write, columns, now } = this.#output;
    const width = columns();
    const left = timeLeft(state, now() - this.#start);
    if (width === undefined) {
      const due = state.done !== this.#lastDone && now() - this.#lastLine >= LINE_EVERY;
      if (!due) return;
      this.#lastLine = now();
      this.#lastDone = state.done;
      write(`${state.done}/${state.total}  ${state.text}${left === "" ? "" : `  ${left}`}\n`);
      return;
    }
    const filled = Math.round(BAR * state.done / Math.max(1, state.total));
    const bar = "█".repeat(filled) + "░".repeat(BAR - filled);
    const line = `${bar} ${state.done}/${state.total}  ${left.padEnd(14)}  ${state.text}`;
    write(`\r\x1b[K${[...line].slice(0, Math.max(1, width - 1)).join("")}`);
    this.#shown = true;
  }

  /** Removes the bar, so that something else can be printed. */
  clear(): void {
    if (this.#shown) this.#output.write("\r\x1b[K");
    this.#shown = false;
  }
}

function timeLeft({ done, total, secondsLeft = 0 }: ProgressState, elapsed: number): string {
  if (done >= total) return "";
  // The pace says too little at first, so the time limit caps the estimate. After the limit only
  // the pace is left.
  const byPace = done === 0 ? Infinity : elapsed / done * (total - done) / 1000;
  const seconds = Math.round(secondsLeft > 0 ? Math.min(secondsLeft, byPace) : byPace);
  if (seconds === Infinity) return "";
  return seconds < 60
    ? `${seconds} s left`
    : `${Math.floor(seconds / 60)} min ${seconds % 60} s left`;
}

/** Progress on this process's stderr. */
export function stderrOutput(): ProgressOutput {
  return {
    write: (text) => writeAll(Deno.stderr, text),
    columns() {
      if (!Deno.stderr.isTerminal()) return undefined;
      try {
        return Deno.consoleSize().columns;
      } catch {
        return 80; // stdin and stdout go elsewhere
      }
    },
    now: () => performance.now(),
  };
}
