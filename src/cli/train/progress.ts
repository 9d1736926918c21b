/**
 * A run's progress on stderr: one line that is rewritten on a terminal, separate lines elsewhere.
 */
import type { RunProgress } from "../../experiments/run.ts";
import type { ProgressOutput } from "../shared/progress.ts";

const BAR = 20;
/** In ms, without a terminal. */
const LINE_EVERY = 5_000;

/** Shows a run's progress. */
export class TrainProgress {
  readonly #output: ProgressOutput;
  #lastLine = -Infinity;
  #lastStep = -1;
  #shown = false;

  constructor(output: ProgressOutput) {
    this.#output = output;
  }

  show(progress: RunProgress): void {
    const { write, columns, now } = this.#output;
    const { step, steps } = progress;
    const width = columns();
    const text = describe(progress);
    if (width === undefined) {
      const last = step === steps;
      if (step === this.#lastStep || !last && now() - this.#lastLine < LINE_EVERY) return;
      this.#lastLine = now();
      this.#lastStep = step;
      write(`step ${step}/${steps}  ${text}\n`);
      return;
    }
    const filled = Math.round(BAR * step / steps);
    const bar = "█".repeat(filled) + "░".repeat(BAR - filled);
    const line = `${bar} ${step}/${steps}  ${text}`;
    write(`\r\x1b[K${[...line].slice(0, Math.max(1, width - 1)).join("")}`);
    this.#shown = true;
  }

  /** Makes room for other output. */
  clear(): void {
    if (this.#shown) this.#output.write("\r\x1b[K");
    this.#shown = false;
  }
}

function describe(
  { activity, loss, oracleLoss, tokensPerSecond, secondsLeft }: RunProgress,
): string {
  const parts = [
    secondsLeft === undefined ? "" : timeLeft(secondsLeft),
    loss === undefined ? "" : `loss ${loss.toFixed(3)}${gap(loss, oracleLoss)}`,
    tokensPerSecond === undefined ? "" : `${thousands(tokensPerSecond)} tokens/s`,
    activity === "training" ? "" : activity,
  ];
  return parts.filter((part) => part !== "").join("  ");
}

/** How far the loss is above the oracle's; empty without an oracle. */
function gap(loss: number, oracleLoss: number | undefined): string {
  if (oracleLoss === undefined) return "";
  const difference = loss - oracleLoss;
  return ` (oracle ${difference < 0 ? "−" : "+"}${Math.abs(difference).toFixed(3)})`;
}

function timeLeft(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s left`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s left`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min left`;
}

function thousands(value: number): string {
  return value < 1000 ? value.toFixed(0) : `${(value / 1000).toFixed(1)}k`;
}
