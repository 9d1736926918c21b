/** HTML as text. Everything is escaped unless this project made it. */
import { escapeHtml } from "../escape.ts";
import { type Cell, cellText, type Table } from "./table.ts";

/** Text that is already HTML. */
export class Markup {
  /** The HTML. */
  readonly text: string;

  /** For escaped text and own markup. */
  constructor(text: string) {
    this.text = text;
  }
}

export type HtmlValue = string | number | Markup | undefined | readonly HtmlValue[];

function rendered(value: HtmlValue): string {
  if (value === undefined) return "";
  if (value instanceof Markup) return value.text;
  if (typeof value === "object") return value.map(rendered).join("");
  return escapeHtml(String(value));
}

/**
 * A template tag that escapes all values but {@linkcode Markup}, and joins a list's elements.
 *
 * @param values strings, numbers, markup, or lists of these; undefined becomes an empty text
 *
 * @example
 * ```ts
 * import { html } from "./html.ts";
 *
 * console.log(html`<p title="${'"'}">${"<b>"}</p>`.text); // <p title="&quot;">&lt;b&gt;</p>
 * ```
 */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Markup {
  return new Markup(
    parts.map((part, i) => part + (i < values.length ? rendered(values[i]) : "")).join(""),
  );
}

/** Options of {@linkcode htmlTable}. */
export interface HtmlTableOptions {
  /** Letters, digits and dashes; unique per page. */
  readonly id: string;
  /** The number of leading columns that name the row. Default 1. */
  readonly headers?: number;
}

function tone(cell: Cell): Markup | undefined {
  return typeof cell === "string" ? undefined : new Markup(` class="${cell.tone}"`);
}

/** A table that scrolls sideways by itself in a narrow window, also with the keyboard. */
export function htmlTable(table: Table, options: HtmlTableOptions): Markup {
  const { id, headers = 1 } = options;
  const { caption = "", columns, rows } = table;
  const right = (i: number) =>
    columns[i]?.align === "right" ? new Markup(' data-align="right"') : undefined;
  return scrollRegion(
    id,
    html`
      <table>
        <caption id="${id}-caption">${caption}</caption>
        <thead>
          <tr>${columns.map(({ title }, i) =>
            html`
              <th scope="col" ${right(i)}>${title}</th>
            `
          )}</tr>
        </thead>
        <tbody>
      ${rows.map((row) =>
        html`
          <tr>${row.map((cell, i) =>
            i < headers
              ? html`<th scope="row">${cellText(cell)}</th>`
              : html`<td${right(i)}${tone(cell)}>${cellText(cell)}</td>`
          )}</tr>
        `
      )}</tbody>
      </table>
    `,
  );
}

/**
 * A box that scrolls sideways by itself, without the page.
 *
 * @param id letters, digits and dashes; the element with the id `${id}-caption` labels the box
 * @param content markup that may be wider than the page
 */
export function scrollRegion(id: string, content: Markup): Markup {
  return html`
    <div class="scroll" role="region" tabindex="0"
      aria-labelledby="${id}-caption">${content}</div>
  `;
}
