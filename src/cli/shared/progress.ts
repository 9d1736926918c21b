/**
 * A command's progress on stderr: a bar with the time left on a terminal, plain lines elsewhere.
 */

import { writeOrDrop } from "./output.ts";

/** The stream that shows progress. */
export interface ProgressOutput {
  /** Writes text at once. */
  readonly write: (text: string) => void;
  /** Undefined without a terminal. */
  readonly columns: () => number | undefined;
  /** Milliseconds since any fixed moment. */
  readonly now: () => number;
}

/** The state of a run. */
export interface ProgressState {
  readonly done: number;
  readonly total: number;
  /** What the run does now. */
  readonly text: string;
  /** Seconds until the end; if undefined, they are estimated from the pace so far. */
  readonly secondsLeft?: number;
}

const BAR = 24;
/** In ms, without a terminal. */
const LINE_EVERY = 5_000;

/** Shows a run's progress. */
export class Progress {
  readonly #output: ProgressOutput;
  /** The time when the current stage began, in ms, and the state's `done` at that time. */
  #start: { readonly time: number; readonly done: number };
  #last = { done: 0, total: 0 };
  #lastLine = -Infinity;
  #lastDone = -1;
  #shown = false;

  constructor(output: ProgressOutput) {
    this.#output = output;
    this.#start = { time: output.now(), done: 0 };
  }

  show(state: ProgressState): void {
    const { write, columns, now } = this.#output;
    const width = columns();
    const { done, total } = state;
    const last = this.#last;
    // A new stage: measure its pace.
    if (last.total > 0 && (total !== last.total || done < last.done)) {
      this.#start = { time: now(), done };
    }
    this.#last = { done, total };
    const left = timeLeft(state, { elapsed: now() - this.#start.time, from: this.#start.done });
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

  /** Makes room for other output. */
  clear(): void {
    if (this.#shown) this.#output.write("\r\x1b[K");
    this.#shown = false;
  }
}

function timeLeft(
  { done, total, secondsLeft }: ProgressState,
  { elapsed, from }: { readonly elapsed: number; readonly from: number },
): string {
  if (secondsLeft === undefined && done >= total) return "";
  const byPace = done <= from ? Infinity : elapsed / (done - from) * (total - done) / 1000;
  const seconds = Math.round(secondsLeft ?? byPace);
  if (seconds === Infinity) return "";
  return seconds < 60
    ? `${seconds} s left`
    : `${Math.floor(seconds / 60)} min ${seconds % 60} s left`;
}

/** Progress on this process's stderr. */
export function stderrOutput(): ProgressOutput {
  return {
    write: (text) => writeOrDrop(Deno.stderr, text),
    columns() {
      if (!Deno.stderr.isTerminal()) return undefined;
      try {
        return Deno.consoleSize().columns;
      } catch {
        return 80; // The terminal does not tell its width.
      }
    },
    now: () => performance.now(),
  };
}
