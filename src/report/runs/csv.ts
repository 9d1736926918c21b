/** Writes runs as CSV. */
import { formatCsv } from "../table.ts";
import type { RunRow } from "./rows.ts";

/**
 * Writes a line of column names, then one line per row. If a number has no layer, head or interval,
 * the cells for it are empty.
 */
export function formatRunsCsv(rows: readonly RunRow[]): string {
  const titles = ["run", "seed", "v_scale", "step", "quantity", "layer", "head", "value"];
  const text = (value: number | null | undefined) =>
    value === null || value === undefined ? "" : String(value);
  return formatCsv({
    columns: [...titles, "low", "high"].map((title) => ({ title })),
    rows: rows.map(({ run, seed, vScale, step, quantity, layer, head, value, interval }) => [
      run,
      String(seed),
      vScale,
      String(step),
      quantity,
      text(layer),
      text(head),
      String(value),
      text(interval?.[0]),
      text(interval?.[1]),
    ]),
  });
}
