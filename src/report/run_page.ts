/** One result file as a page and as Markdown. */
import { adapterName } from "../measure/comparison/machine.ts";
import type { ResultFile } from "../measure/result_file.ts";
import { html, htmlTable } from "./html.ts";
import { renderPage } from "./page.ts";
import { ceilingTable, measurementTable } from "./run_table.ts";
import { escapeMarkdown, formatMarkdownTable } from "./table.ts";

function titleOf(file: ResultFile): string {
  return file.label ?? adapterName(file);
}

function metaOf(file: ResultFile): string {
  const { runtime, suite, date, status } = file;
  return [
    adapterName(file),
    `${runtime.name} ${runtime.version ?? ""}`.trim(),
    `gradsink ${suite.version}${suite.commit === null ? "" : ` (${suite.commit.slice(0, 10)})`}`,
    date.slice(0, 10),
    ...status === "incomplete" ? ["incomplete"] : [],
  ].join(" · ");
}

export function renderRunPage(file: ResultFile): string {
  const table = measurementTable(file, { counts: false });
  return renderPage({
    title: titleOf(file),
    meta: metaOf(file),
    summary: html`<p class="lead">One machine alone: give a second file to compare it with.</p>`,
    notes: { title: "Keep in mind", lines: file.warnings ?? [] },
    sections: [
      {
        id: "results",
        title: "Results",
        body: html`<div class="card">${htmlTable(table, { id: "measurements", headers: 3 })}</div>`,
      },
      {
        id: "machine",
        title: "Machine",
        body: html`<div class="card">${htmlTable(ceilingTable(file), { id: "ceilings" })}</div>`,
      },
    ],
    source: "one result file",
  });
}

/** Writes a run as Markdown. */
export function formatRunMarkdown(file: ResultFile): string {
  return [
    `**${escapeMarkdown(titleOf(file))}**: ${escapeMarkdown(metaOf(file))}`,
    "",
    formatMarkdownTable(measurementTable(file)),
    formatMarkdownTable(ceilingTable(file)),
    ...(file.warnings ?? []).map((warning) => `- ${escapeMarkdown(warning)}\n`),
  ].join("\n");
}
