/**
 * Tables for terminals, Markdown and CSV. Any cell becomes one line of visible text. It cannot
 * steer the terminal, open a tag, or start a formula.
 */
import stringWidth from "string-width";
import { escapeTerminal } from "../escape.ts";

/** How to judge a cell. A color shows it if colors are on; the cell's text shows it always. */
export type Tone = "good" | "bad" | "unsure" | "faint";

export type Cell = string | { readonly text: string; readonly tone: Tone };

/** One column. */
export interface Column {
  readonly title: string;
  /** Right for numbers. Default left. */
  readonly align?: "left" | "right";
}

/** Makes left-aligned columns for words. */
export function textColumns(...titles: readonly string[]): Column[] {
  return titles.map((title) => ({ title }));
}

/** Makes right-aligned columns for numbers. */
export function numberColumns(...titles: readonly string[]): Column[] {
  return titles.map((title) => ({ title, align: "right" }));
}

/**
 * A row has one cell per column. In a terminal's table, a row with a single cell is a heading for
 * the rows below it.
 */
export interface Table {
  readonly caption?: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
}

/** Options of {@linkcode formatTerminalTable}. */
export interface TerminalTableOptions {
  /** Whether to use colors and bold type. Default false. */
  readonly color?: boolean;
}

/** A cell's text without its tone. */
export function cellText(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

// Terminal codes that turn a style on and off. node:util's styleText is not used, because this
// module also runs in browsers, which lack it.
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
 * Writes a table with aligned columns for a terminal. Without colors, no line ends in white space.
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
 * Escapes text for Markdown, so it appears unchanged and stays in its cell. Markdown allows HTML,
 * so tags are escaped too.
 */
export function escapeMarkdown(text: string): string {
  return escapeTerminal(text)
    .replace(/[\\`*_{}[\]|~#!@]/g, (character) => `\\${character}`)
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    // Markdown would turn a bare address into a link. A zero-width space in it prevents this.
    .replace(/(https?|ftp|www)(?=[:.])/gi, "$1&#8203;");
}

/** Writes a table in GitHub's Markdown. */
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
  // Spreadsheets run text that begins like a formula, so it gets an apostrophe in front. Numbers,
  // such as -1, get none.
  if (/^[=+\-@]/.test(field) && !/^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(field)) field = `'${field}`;
  return /[",;]|^\s|\s$/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}

/**
 * Writes a table as comma-separated values (RFC 4180, with line feeds), without its caption.
 *
 * @param table its numbers should have no units, so other programs can read them
 */
export function formatCsv(table: Table): string {
  return [
    table.columns.map(({ title }) => csvField(title)).join(","),
    ...table.rows.map((row) => row.map((cell) => csvField(cellText(cell))).join(",")),
  ].join("\n") + "\n";
}
