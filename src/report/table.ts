/**
 * Tables for terminals, Markdown and CSV. Whatever a cell holds, it stays one line of visible text
 * and cannot steer the terminal, open a tag, or start a formula.
 */
import stringWidth from "string-width";
import { escapeTerminal } from "../escape.ts";

/** How a cell is to be understood; shown as a color where there is one, never by color alone. */
export type Tone = "good" | "bad" | "unsure" | "faint";

/** A cell: text, or text with a tone. */
export type Cell = string | { readonly text: string; readonly tone: Tone };

/** One column. */
export interface Column {
  readonly title: string;
  /** Numbers stand on the right. Default left. */
  readonly align?: "left" | "right";
}

/** Columns of words, which stand on the left. */
export function textColumns(...titles: readonly string[]): Column[] {
  return titles.map((title) => ({ title }));
}

/** Columns of numbers, which stand on the right. */
export function numberColumns(...titles: readonly string[]): Column[] {
  return titles.map((title) => ({ title, align: "right" }));
}

/**
 * A table; rows have one cell for each column, or a single one: a heading for the rows below it.
 */
export interface Table {
  /** What it shows, in a few words. */
  readonly caption?: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
}

/** How {@linkcode formatTerminalTable} writes. */
export interface TerminalTableOptions {
  /** Whether to use colors and bold type. Default false. */
  readonly color?: boolean;
}

/** What a cell says, without its tone. */
export function cellText(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

// Select Graphic Rendition: what turns a style on and off. Not node:util's styleText, because
// browsers use this module as well.
const styles = {
  good: [32, 39],
  bad: [31, 39],
  unsure: [33, 39],
  faint: [2, 22],
  bold: [1, 22],
} as const;

function styled(style: keyof typeof styles, text: string): string {
  const [on, off] = styles[style];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

function pad(text: string, width: number, align: "left" | "right" | undefined): string {
  const space = " ".repeat(Math.max(0, width - stringWidth(text)));
  return align === "right" ? space + text : text + space;
}

/**
 * A table with aligned columns for a terminal.
 *
 * @param table any texts
 * @param options colors
 * @returns lines without trailing white space; ends with a line break
 *
 * @example
 * ```ts
 * import { formatTerminalTable } from "./table.ts";
 *
 * console.log(formatTerminalTable({
 *   columns: [{ title: "kernel" }, { title: "median", align: "right" }],
 *   rows: [["attention", "1.23 ms"], ["rms_norm", "45.6 µs"]],
 * }));
 * ```
 */
export function formatTerminalTable(table: Table, options: TerminalTableOptions = {}): string {
  const { color = false } = options;
  const { columns, rows, caption } = table;
  const texts = rows.map((row) => row.map((cell) => escapeTerminal(cellText(cell))));
  const widths = columns.map(({ title }, i) =>
    Math.max(
      stringWidth(escapeTerminal(title)),
      ...texts.map((row) => row.length === 1 ? 0 : stringWidth(row[i] ?? "")),
    )
  );
  const header = columns.map(({ title, align }, i) => pad(escapeTerminal(title), widths[i]!, align))
    .join("  ").trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  const body = rows.map((row, r) =>
    row.length === 1 ? bold(texts[r]![0]!, color) : columns.map(({ align }, i) => {
      const text = pad(texts[r]![i] ?? "", widths[i]!, align);
      const cell = row[i];
      return color && typeof cell === "object" ? styled(cell.tone, text) : text;
    }).join("  ").trimEnd()
  );
  return [
    ...caption === undefined ? [] : [bold(escapeTerminal(caption), color)],
    bold(header, color),
    color ? styled("faint", rule) : rule,
    ...body,
  ].join("\n") + "\n";
}

function bold(text: string, color: boolean): string {
  return color ? styled("bold", text) : text;
}

/**
 * Escapes text for Markdown, so that it is shown as it is and stays in its cell. HTML is allowed in
 * Markdown, so markup is escaped as well.
 *
 * @param text any text
 */
export function escapeMarkdown(text: string): string {
  return escapeTerminal(text)
    .replace(/[\\`*_{}[\]|~#!@]/g, (character) => `\\${character}`)
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    // A bare address would become a link.
    .replace(/(https?|ftp|www)(?=[:.])/gi, "$1&#8203;");
}

/**
 * A table in GitHub's Markdown.
 *
 * @param table any texts
 * @returns ends with a line break
 */
export function formatMarkdownTable(table: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const { columns, rows, caption } = table;
  return [
    ...caption === undefined ? [] : [`**${escapeMarkdown(caption)}**`, ""],
    line(columns.map(({ title }) => escapeMarkdown(title))),
    line(columns.map(({ align }) => align === "right" ? "---:" : ":---")),
    ...rows.map((row) => line(row.map((cell) => escapeMarkdown(cellText(cell))))),
  ].join("\n") + "\n";
}

function csvField(text: string): string {
  let field = escapeTerminal(text);
  // Spreadsheets run what begins like a formula. Numbers stay numbers.
  if (/^[=+\-@]/.test(field) && !/^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(field)) field = `'${field}`;
  return /[",;]|^\s|\s$/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}

/**
 * A table as comma-separated values (RFC 4180, with line feeds). The caption is left out.
 *
 * @param table any texts; for machines, numbers without units
 * @returns a header and one line for each row
 */
export function formatCsv(table: Table): string {
  return [
    table.columns.map(({ title }) => csvField(title)).join(","),
    ...table.rows.map((row) => row.map((cell) => csvField(cellText(cell))).join(",")),
  ].join("\n") + "\n";
}
