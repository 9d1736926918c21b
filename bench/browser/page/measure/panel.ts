/** The panel that measures: run, pause, cancel, and the results. */
import { plural } from "../../../../src/plural.ts";
import { BenchRun, describeAdapter, resultFileName } from "../../../../src/measure/bench_run.ts";
import { MeasuringSession, type OpenedAdapter } from "../../../../src/measure/child/session.ts";
import { RESULT_SCHEMA, type ResultFile } from "../../../../src/measure/result_file.ts";
import { shareResult } from "../../../../src/measure/result_file/share.ts";
import { listJobs, listWork } from "../../../../src/measure/jobs.ts";
import { formatMarkdownTable } from "../../../../src/report/table.ts";
import { ceilingTable, measurementTable } from "../../../../src/report/run_table.ts";
import {
  describeBrowser,
  describeBrowserHost,
  describeBuild,
  projectRepository,
} from "../adapter_block.ts";
import type { ComparePanel } from "../compare/panel.ts";
import { announce, button, byId, copyText, messageOf, saveText } from "../dom.ts";
import { showRun } from "../run_view.ts";
import { formSelection, type PageSelection } from "../selection.ts";
import { WorkerChild } from "../worker/child.ts";

/**
 * An operator is skipped if running it once takes the GPU longer than this, in ns. The screen
 * freezes while an operator runs, and drivers stop the operator after two seconds.
 */
export const LONGEST_RUN = 0.5e9;
/** A Worker counts as hanging after this many ms without a message. */
const DEADLINE = 90_000;
/**
 * The page refuses to measure if it has only a wall clock that advances in longer steps than this,
 * in ns, because every timed pass on the GPU would have to be very long.
 */
const COARSEST_CLOCK = 8e6;
/** The shortest time between two drawings of the results while measuring, in ms. */
const DRAW_EVERY = 400;

/**
 * Opens the browser's GPU in a separate Worker, examines it, and closes it.
 *
 * @throws {Error} if there is no usable GPU, with the reason
 */
export async function lookAtAdapter(): Promise<OpenedAdapter> {
  const session = createSession(new AbortController().signal);
  try {
    return await session.open();
  } finally {
    await session.close();
  }
}

function createSession(
  interrupt: AbortSignal,
  progress: (step: string, job?: Parameters<BenchRun["show"]>[1]) => void = () => {},
): MeasuringSession {
  let count = 0;
  return new MeasuringSession({
    start: () => new WorkerChild({ again: count++ > 0 }),
    adapter: { runtime: "browser" },
    longestRun: LONGEST_RUN,
    deadline: DEADLINE,
    interrupt,
    progress,
  });
}

interface Running {
  readonly session: MeasuringSession;
  readonly interrupt: AbortController;
  paused: boolean;
}

/** The part of the page that measures. */
export class MeasurePanel {
  readonly #form = byId("selection", HTMLFormElement);
  readonly #compare: ComparePanel;
  readonly #busy: (busy: boolean) => void;
  #running: Running | undefined;
  #file: ResultFile | undefined;
  #drawn = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param options.compare the panel to which the user can add a finished run
   * @param options.busy called with true when measuring needs the GPU, and with false afterwards
   */
  constructor(
    { compare, busy }: {
      readonly compare: ComparePanel;
      readonly busy: (busy: boolean) => void;
    },
  ) {
    this.#compare = compare;
    this.#busy = busy;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#run();
    });
    button("pause").addEventListener("click", () => this.#pause());
    button("cancel").addEventListener("click", () => this.#cancel());
    button("save").addEventListener("click", () => void this.#save());
    button("copy-json").addEventListener(
      "click",
      () => void copyText(button("copy-json"), this.#text()),
    );
    button("copy-markdown").addEventListener(
      "click",
      () => void copyText(button("copy-markdown"), markdownOf(this.#file!)),
    );
    button("compare-run").addEventListener("click", () => void this.#compareRun());
    button("share").hidden = projectRepository() === "";
    button("share").addEventListener("click", () => void this.#share());
    addEventListener("beforeunload", (event) => {
      if (this.#running !== undefined) event.preventDefault();
    });
  }

  async #run(): Promise<void> {
    if (this.#running !== undefined) return;
    const selection = formSelection(this.#form);
    if (typeof selection === "string") return announce(selection, { trouble: true });
    const interrupt = new AbortController();
    let run: BenchRun | undefined;
    const session = createSession(interrupt.signal, (step, job) => run?.show(step, job));
    this.#running = { session, interrupt, paused: false };
    this.#showButtons();
    this.#busy(true);
    this.#progress({ done: 0, total: 0, text: "opening the adapter" });
    announce("Measuring has begun");
    const light = await keepScreenOn();
    try {
      const opened = await session.open();
      const { timer: { kind, quantum } } = opened;
      if (kind === "wall" && quantum > COARSEST_CLOCK) {
        throw new Error(
          "this browser's clock is too coarse for measuring; a setting against fingerprinting may be the reason",
        );
      }
      const work = listWork(selection, { software: opened.info.software });
      const chosen = await session.choose(work);
      const jobs = listJobs(selection, work.map((each, i) => ({ ...each, ...chosen[i]! })));
      if (jobs.length === 0) throw new Error("the selection leaves nothing to measure");
      run = new BenchRun({
        file: fresh(selection, opened),
        opened,
        jobs,
        seed: selection.seed,
        budget: selection.budget,
        keep: (file) => this.#keep(file),
        progress: (state) => this.#progress(state),
        skipped: ({ kernel, pass, shape }, reason) =>
          void run?.warn(`${kernel} ${pass} ${shape.name} was left out: ${reason}`),
      });
      await run.measure(session, interrupt.signal);
      this.#conclude(run.file, interrupt.signal.aborted);
    } catch (error) {
      if (interrupt.signal.aborted) announce("Canceled before anything was measured");
      else announce(`Measuring ended: ${explain(error)}`, { trouble: true });
    } finally {
      await session.close();
      await light?.release().catch(() => {});
      this.#running = undefined;
      this.#busy(false);
      this.#showButtons();
      byId("progress-area", HTMLDivElement).hidden = true;
      if (this.#file !== undefined) this.#draw();
    }
  }

  #conclude(file: ResultFile, canceled: boolean): void {
    const bad = file.measurements.filter(({ status = "ok" }) => status !== "ok");
    const { length } = file.measurements;
    const count = plural(length, "measurement");
    if (canceled) {
      return announce(`Canceled. The file keeps ${count} and is marked incomplete`);
    }
    if (bad.length === 0) return announce(`Done: ${count}`);
    const lost = bad.some(({ reason }) => reason?.includes("device was lost"));
    announce(
      `Done: ${count}, ${bad.length} of them wrong or failed, see the remarks` +
        (lost
          ? ". The browser took the GPU away during the run; the page opened it again for the others"
          : ""),
      { trouble: true },
    );
  }

  #pause(): void {
    const running = this.#running;
    if (running === undefined) return;
    running.paused = !running.paused;
    if (running.paused) running.session.pause();
    else running.session.resume();
    announce(running.paused ? "Paused before the next sample" : "Resumed");
    this.#showButtons();
  }

  #cancel(): void {
    announce("Canceling");
    this.#running?.interrupt.abort();
  }

  #keep(file: ResultFile): void {
    this.#file = file;
    const wait = this.#drawn + DRAW_EVERY - performance.now();
    if (wait <= 0) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), wait);
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drawn = performance.now();
    showRun(this.#file!);
    this.#showButtons();
  }

  #progress({ done, total, text }: { done: number; total: number; text: string }): void {
    byId("progress-area", HTMLDivElement).hidden = false;
    const bar = byId("progress", HTMLProgressElement);
    bar.max = Math.max(1, total);
    bar.value = done;
    byId("progress-text", HTMLParagraphElement).textContent = total === 0
      ? text
      : `${done} of ${total}: ${text}`;
  }

  #showButtons(): void {
    const running = this.#running;
    const measured = (this.#file?.measurements.length ?? 0) > 0;
    button("run").disabled = running !== undefined;
    button("pause").disabled = button("cancel").disabled = running === undefined;
    button("pause").textContent = running?.paused === true ? "Go on" : "Pause";
    for (const id of ["save", "copy-json", "copy-markdown", "compare-run"]) {
      button(id).disabled = !measured;
    }
    button("share").disabled = this.#file?.status !== "complete";
  }

  #text(): Promise<string> {
    return this.#compare.format(this.#file!);
  }

  async #save(): Promise<void> {
    try {
      const name = `${resultFileName(this.#file!)}.json`;
      saveText(name, await this.#text(), "application/json");
      announce(`Saved as ${name}`);
    } catch (error) {
      announce(`The file could not be made: ${messageOf(error)}`, { trouble: true });
    }
  }

  /** Opens the GitHub page for a new file. There the user decides whether to send the result. */
  async #share(): Promise<void> {
    const name = `${resultFileName(this.#file!)}.json`;
    try {
      const text = await this.#text();
      const { url, complete } = shareResult(projectRepository(), { name, text });
      const copied = complete ||
        await navigator.clipboard.writeText(text).then(() => true, () => false);
      if (!copied) saveText(name, text, "application/json");
      open(url, "_blank", "noopener");
      announce(
        complete
          ? "The project's page for a new file has opened. Nothing has been sent"
          : `Paste the result into the page that has opened. The result is ${
            copied ? "in the clipboard" : `in the file ${name}`
          }. Nothing has been sent`,
      );
    } catch (error) {
      announce(`The file could not be offered: ${messageOf(error)}`, { trouble: true });
    }
  }

  async #compareRun(): Promise<void> {
    await this.#compare.take(`${resultFileName(this.#file!)}.json`, this.#file!);
    byId("compare", HTMLElement).scrollIntoView();
  }
}

function fresh(selection: PageSelection, opened: OpenedAdapter): ResultFile {
  const { seed, label, budget, shapes, ...rest } = selection;
  return {
    schema: RESULT_SCHEMA,
    suite: describeBuild(),
    date: new Date().toISOString(),
    status: "incomplete",
    ...label === "" ? {} : { label },
    runtime: describeBrowser(),
    host: describeBrowserHost(),
    adapter: describeAdapter(opened),
    ceilings: {},
    settings: {
      grid: typeof shapes === "string" ? shapes : "named",
      seed,
      arguments: [location.search],
      selection: { ...rest, shapes, budget },
      longestRunSeconds: LONGEST_RUN / 1e9,
    },
    ...opened.warnings.length > 0 ? { warnings: opened.warnings } : {},
    measurements: [],
  };
}

function markdownOf(file: ResultFile): string {
  return `${formatMarkdownTable(ceilingTable(file))}\n${
    formatMarkdownTable(measurementTable(file))
  }`;
}

/** An error's message, with advice if the GPU was lost or did not open. */
function explain(error: unknown): string {
  const text = messageOf(error);
  if (/no usable adapter|was lost|requestDevice/.test(text)) {
    return `${text}. The browser gave up the GPU, perhaps because its driver crashed. Close other pages ` +
      "that use the GPU, reload this one, or restart the browser";
  }
  return text;
}

// Keeps the screen on if the browser can. Otherwise a phone turns off its screen during a run, and
// with the screen the GPU.
async function keepScreenOn(): Promise<WakeLockSentinel | undefined> {
  try {
    return await navigator.wakeLock?.request("screen");
  } catch {
    return undefined; // not essential
  }
}
