/** The text and exit code of `deno task compare --fail-on-regression`. */
import type { Gate, GateRow } from "../../measure/comparison/gate.ts";
import { formatChange, formatShape } from "../../report/format.ts";

/** The gate's options. */
export interface GateRequest {
  /** The smallest relative slowdown that counts. */
  readonly limit: number;
  /** Whether the gate passes despite missing measurements and incomplete runs. */
  readonly allowMissing: boolean;
}

/** Advice on how to decide uncertain rows. */
const ADVICE =
  "more processes would tell: measure both again with a larger --budget, or fewer rows (--kernels, --shapes)";

function named({ row, machine }: GateRow): string {
  const what = `${row.kernel} ${row.pass} ${formatShape(row.shape)} ${row.dtype} ${row.cache}`;
  return `${what} on ${machine.name}`;
}

/**
 * Writes the gate's lines for standard error, and chooses the exit code.
 *
 * @returns the lines and the exit code: 3 for a regression; else 4 if all measurements are too
 *   uncertain; else 4 if `allowMissing` is false and a measurement is missing or a run is
 *   incomplete; else 0
 */
export function concludeGate(
  gate: Gate,
  { limit, allowMissing }: GateRequest,
): { readonly lines: readonly string[]; readonly code: number } {
  const { regressions, missing, incomplete, undecided, blind, expected } = gate;
  const lines = regressions.map((each) =>
    `regression: ${named(each)}: ${
      each.ratio === undefined ? each.status : formatChange(each.ratio)
    }`
  );
  for (const each of undecided) {
    const change = formatChange(each.ratio);
    lines.push(`undecided: ${named(each)}: ${change}, but ${each.reason}`);
  }
  if (undecided.length > 0) {
    lines.push(
      `gate: ${undecided.length} of ${expected} measurements are slower by more than ${
        100 * limit
      } % and may be so by chance; ${ADVICE}`,
    );
  }
  const absent = missing.length > 0 || incomplete.length > 0;
  if (absent) lines.push(absence(gate, allowMissing));
  const judged = expected - missing.length;
  const isBlind = judged > 0 && blind.length === judged;
  if (isBlind) {
    lines.push(
      `gate: no measurement is known well enough to show even a time twice as long; ${ADVICE}`,
    );
  }
  const failed = regressions.length > 0;
  return { lines, code: failed ? 3 : isBlind || (absent && !allowMissing) ? 4 : 0 };
}

function absence({ missing, incomplete, expected }: Gate, allowed: boolean): string {
  const parts = [
    ...missing.length === 0
      ? []
      : [`${missing.length} of ${expected} measurements of the first file are missing`],
    ...incomplete.map(({ name }) => `the run of ${name} is incomplete`),
  ];
  const end = allowed ? "allowed by --allow-missing" : "--allow-missing lets this pass";
  return `gate: ${parts.join(", ")}; ${end}`;
}
