/** What `deno task compare --fail-on-regression` says, and how it ends. */
import type { Gate, GateRow } from "../../measure/comparison/gate.ts";
import { formatChange, formatShape } from "../../report/format.ts";

/** How the gate was requested. */
export interface GateRequest {
  /** The relative change from which a slower time counts. */
  readonly limit: number;
  /** Whether missing measurements and incomplete runs pass. */
  readonly allowMissing: boolean;
}

/** A command of the bench that takes more samples. */
const ADVICE =
  "more processes would tell: measure both again with a larger --budget, or fewer rows (--kernels, --shapes)";

function named({ row, machine }: GateRow): string {
  const what = `${row.kernel} ${row.pass} ${formatShape(row.shape)} ${row.dtype} ${row.cache}`;
  return `${what} on ${machine.name}`;
}

/**
 * The gate's lines for standard error, and the exit code.
 *
 * @param gate what was found
 * @param request what counts
 * @returns exit code 3 for a regression, 4 where nothing can be said, else 0
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

/** One line on what is missing. */
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
