/** HTML as text, in which everything is escaped unless it was made here. */
import { escapeHtml } from "../escape.ts";
import { type Cell, cellText, type Table } from "./table.ts";

/** Text that is HTML already. */
export class Markup {
  /** The HTML. */
  readonly text: string;

  /** The text must be escaped, or our own. */
  constructor(text: string) {
    this.text = text;
  }
}

/** What a template of {@linkcode html} takes. */
export type HtmlValue = string | number | Markup | undefined | readonly HtmlValue[];

function rendered(value: HtmlValue): string {
  if (value === undefined) return "";
  if (value instanceof Markup) return value.text;
  if (typeof value === "object") return value.map(rendered).join("");
  return escapeHtml(String(value));
}

/**
 * A template whose values are escaped, except for {@linkcode Markup}. Lists are joined.
 *
 * @param parts the template's own text
 * @param values strings, numbers, markup, or lists of them; undefined is nothing
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

/** How {@linkcode htmlTable} lays out a table. */
export interface HtmlTableOptions {
  /** The table's identifier in the page; letters, digits and dashes. */
  readonly id: string;
  /** How many columns at the left name the row. Default 1. */
  readonly headers?: number;
}

function tone(cell: Cell): Markup | undefined {
  return typeof cell === "string" ? undefined : new Markup(` class="${cell.tone}"`);
}

/**
 * A table that scrolls by itself where the window is too narrow, by keyboard as well.
 *
 * @param table any texts
 * @param options the identifier and the number of header columns
 */
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
 * A box that scrolls sideways by itself.
 *
 * @param id of the element in it that names it, without its ending `-caption`
 * @param content what may be too wide
 */
export function scrollRegion(id: string, content: Markup): Markup {
  return html`
    <div class="scroll" role="region" tabindex="0"
      aria-labelledby="${id}-caption">${content}</div>
  `;
}
