/**
 * Compares result files: files that the user opens or drops, files of the project, and runs of this
 * page.
 */
import type { Comparison } from "../../../../src/measure/comparison.ts";
import { MAXIMUM_FILE_BYTES } from "../../../../src/files/file_error.ts";
import type { ResultFile } from "../../../../src/measure/result_file.ts";
import { comparisonParts, renderComparisonPage } from "../../../../src/report/comparison/page.ts";
import { html } from "../../../../src/report/html.ts";
import { operatorGroups, signIcon } from "../../../../src/report/plot.ts";
import { escapeTerminal, truncate } from "../../../../src/escape.ts";
import type { CompareQuestion, FileSummary } from "./worker.ts";
import { announce, button, byId, copyText, element, messageOf, saveText } from "../dom.ts";
import { svgDocument } from "../run_view.ts";
import { setMarkup } from "../trusted.ts";
import { WorkerCalls } from "../worker/calls.ts";

interface Listed {
  readonly id: number;
  readonly name: string;
  readonly summary: FileSummary;
}

const MOST_FILES = 32;
/** The most rows of a comparison that the page shows; `deno task compare` shows all. */
const MOST_ROWS = 400;
/** The most operators for which the page draws pictures: drawing more would take too long. */
const MOST_PICTURES = 40;
/** After this many ms the page stops a comparison, and removes its files as too large. */
const PATIENCE = 30_000;
/** The smallest relative change of a time that matters to the comparison. */
const THRESHOLD = 0.05;

export class ComparePanel {
  readonly #worker = new WorkerCalls("compare");
  #files: Listed[] = [];
  #count = 0;
  #comparison: Comparison | undefined;
  /** The number of the latest requested comparison. Results of earlier comparisons are dropped. */
  #turn = 0;

  constructor() {
    const input = byId("files", HTMLInputElement);
    input.addEventListener("change", () => {
      void this.#open([...input.files ?? []]).finally(() => input.value = "");
    });
    button("choose-files").addEventListener("click", () => input.click());
    this.#listenForDrops();
    for (const each of document.querySelectorAll<HTMLButtonElement>("button[data-fixture]")) {
      each.addEventListener("click", () => void this.#openFixture(each));
    }
    button("forget-all").addEventListener("click", () => {
      this.#worker.end("forgotten");
      this.#files = [];
      void this.#compare();
    });
    const write = (form: "markdown" | "json") => this.#ask<string>({ type: "write", form });
    for (const form of ["markdown", "json"] as const) {
      const source = button(`compare-${form}`);
      source.addEventListener("click", () => void copyText(source, write(form)));
    }
    button("compare-page").addEventListener("click", () => {
      if (this.#comparison === undefined) return;
      const page = renderComparisonPage(this.#comparison, svgDocument);
      saveText("comparison.html", page, "text/html");
    });
  }

  /** Formats a run of this page as a result file's text, with the same checks as reading one. */
  format(file: ResultFile): Promise<string> {
    return this.#ask({ type: "format", name: "this run", file });
  }

  /** Adds a run of this page to the list. */
  async take(name: string, file: ResultFile): Promise<void> {
    await this.#add(name, (id) => this.#ask({ type: "take", id, name, file }));
    await this.#compare();
  }

  #listenForDrops(): void {
    const zone = byId("drop", HTMLDivElement);
    const holdsFiles = (event: DragEvent): boolean =>
      event.dataTransfer?.types.includes("Files") === true;
    addEventListener("dragover", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      zone.classList.add("over");
    });
    addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) zone.classList.remove("over");
    });
    addEventListener("drop", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      zone.classList.remove("over");
      zone.scrollIntoView({ block: "nearest" });
      void this.#open([...event.dataTransfer?.files ?? []]);
    });
  }

  async #open(files: readonly File[]): Promise<void> {
    this.#clearProblems();
    for (const file of files) {
      await this.#add(file.name, async (id) => {
        if (file.size > MAXIMUM_FILE_BYTES) {
          throw new Error(
            `${shownName(file.name)}: is larger than ${MAXIMUM_FILE_BYTES / 2 ** 20} MiB`,
          );
        }
        const bytes = await file.arrayBuffer().catch(() => {
          throw new Error(`${shownName(file.name)}: cannot be read; is it a folder?`);
        });
        return await this.#ask({ type: "read", id, name: file.name, bytes }, [bytes]);
      });
    }
    await this.#compare();
  }

  async #openFixture(source: HTMLButtonElement): Promise<void> {
    this.#clearProblems();
    const path = source.dataset.fixture!;
    const name = path.split("/").at(-1)!;
    if (this.#files.some((file) => file.name === name)) {
      return announce(`${name} is already in the list`);
    }
    await this.#add(name, async (id) => {
      const response = await fetch(new URL(path, document.baseURI));
      if (!response.ok) throw new Error(`${name}: cannot be read (${response.status})`);
      const bytes = await response.arrayBuffer();
      return await this.#ask({ type: "read", id, name, bytes }, [bytes]);
    });
    await this.#compare();
  }

  async #add(name: string, summarize: (id: number) => Promise<FileSummary>): Promise<void> {
    if (this.#files.length >= MOST_FILES) {
      return this.#complain(
        `${shownName(name)}: no more than ${MOST_FILES} files are compared here`,
      );
    }
    const id = this.#count++;
    try {
      const summary = await summarize(id);
      this.#files.push({ id, name, summary });
    } catch (error) {
      this.#complain(messageOf(error));
    }
  }

  #ask<Value>(question: CompareQuestion, transfer: Transferable[] = []): Promise<Value> {
    return this.#worker.ask(question, transfer);
  }

  #clearProblems(): void {
    byId("file-problems", HTMLUListElement).replaceChildren();
  }

  // Shows the problem as text, so that nothing in a stranger's file or its name becomes markup.
  #complain(problem: string): void {
    byId("file-problems", HTMLUListElement).append(element("li", escapeTerminal(problem)));
  }

  async #compare(): Promise<void> {
    const turn = ++this.#turn;
    this.#list();
    const view = byId("comparison", HTMLDivElement);
    const enough = this.#files.length >= 2;
    if (!enough) {
      this.#comparison = undefined;
      byId("compare-actions", HTMLDivElement).hidden = view.hidden = true;
      view.replaceChildren();
      if (this.#files.length === 1) announce("One file is read; add another one to compare them");
      return;
    }
    announce("Comparing");
    const timer = setTimeout(() => {
      this.#files = [];
      this.#worker.end("it took too long: the files are too large. They were removed");
    }, PATIENCE);
    try {
      const ids = this.#files.map(({ id }) => id);
      const comparison = await this.#ask<Comparison>({
        type: "compare",
        ids,
        threshold: THRESHOLD,
      });
      if (turn !== this.#turn) return;
      this.#comparison = comparison;
      this.#show(comparison);
      announce(`${this.#files.length} files are compared`);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#comparison = undefined;
      byId("compare-actions", HTMLDivElement).hidden = view.hidden = true;
      this.#complain(messageOf(error));
      this.#list();
      announce("The files could not be compared", { trouble: true });
    } finally {
      clearTimeout(timer);
    }
  }

  #show(comparison: Comparison): void {
    const { rows } = comparison;
    const shown = rows.length <= MOST_ROWS
      ? comparison
      : { ...comparison, rows: rows.slice(0, MOST_ROWS) };
    const pictures = operatorGroups(shown).length <= MOST_PICTURES;
    const { title, summary, sections } = comparisonParts(shown, svgDocument, { pictures });
    const left = rows.length - shown.rows.length;
    const view = byId("comparison", HTMLDivElement);
    setMarkup(
      view,
      html`
        <h3 class="comparison-title">${title}</h3>
        ${summary}
        ${left === 0 && pictures ? "" : html`
          <p class="soft">${left === 0 ? "" : `${left} more rows are not shown. `}${pictures
            ? ""
            : "With so many operators, pictures are left out. "}The command <code>deno task compare</code> shows all.</p>
        `}
        ${sections.map(({ id, title, body }) =>
          html`
            <section id="${id}" aria-labelledby="${id}-heading">
              <h3 id="${id}-heading">${title}</h3>
              ${body}
            </section>
          `
        )}
      `,
    );
    byId("compare-actions", HTMLDivElement).hidden = view.hidden = false;
  }

  #list(): void {
    const list = byId("file-list", HTMLOListElement);
    list.replaceChildren(...this.#files.map((file, i) => {
      const { name, summary } = file;
      const item = element("li");
      const sign = element("span");
      setMarkup(sign, signIcon(i));
      const text = element("span");
      const what = summary.label === "" ? summary.adapter : `${summary.label}, ${summary.adapter}`;
      text.append(
        element("b", escapeTerminal(truncate(what, 100))),
        escapeTerminal(
          ` ${
            truncate(summary.runtime, 40)
          }, ${summary.measurements} measurements, ${summary.date}, ${shownName(name)}`,
        ),
      );
      const actions = element("span", "", { class: "actions" });
      const act = (label: string, run: () => void): void => {
        const action = element("button", label, {
          type: "button",
          class: "small",
          "aria-label": `${label}: ${shownName(name)}`,
        });
        action.addEventListener("click", run);
        actions.append(action);
      };
      if (i === 0) actions.append(element("span", "baseline", { class: "soft" }));
      else {
        act("Make it the baseline", () => {
          this.#files = [file, ...this.#files.filter((other) => other !== file)];
          void this.#compare();
        });
      }
      act("Remove", () => {
        this.#files = this.#files.filter((other) => other !== file);
        void this.#ask({ type: "forget", id: file.id });
        void this.#compare();
        button("choose-files").focus();
      });
      item.append(sign, text, actions);
      return item;
    }));
    button("forget-all").hidden = this.#files.length === 0;
  }
}

function shownName(name: string): string {
  return escapeTerminal(truncate(name, 80));
}
