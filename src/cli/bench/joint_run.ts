/** `--beside`: opens the other side, makes its result file, and compares both sides' files. */
import { basename } from "node:path";
import type { MeasuringSession } from "../../measure/child/session.ts";
import { BesideSession, type RunSession } from "../../measure/bench_run/beside.ts";
import { compareResultFiles, NothingComparableError } from "../../measure/comparison.ts";
import type { NamedResult } from "../../measure/comparison/machine.ts";
import type { ResultFile } from "../../measure/result_file.ts";
import { formatComparison, formatComparisonJson } from "../../report/comparison/text.ts";
import { type Beside, openBeside } from "./beside.ts";

/** Both sides, with their adapters open. */
export interface JointRun {
  /** Measures both sides. */
  readonly session: RunSession;
  /** The operators and passes that only this side has, which it measures alone. */
  readonly alone: readonly string[];
  /** Makes the other side's file from the measurements so far and this side's file. */
  file(own: ResultFile): ResultFile;
}

/**
 * Opens the other side's adapter next to this side's.
 *
 * @param sides both sides' sessions, and this side's work
 * @throws {UsageError} as {@linkcode openBeside} does
 */
export async function openJointRun(
  beside: Beside,
  { session, other, interrupt, ...own }: {
    readonly session: MeasuringSession;
    readonly other: MeasuringSession;
    readonly interrupt: AbortController;
  } & Parameters<typeof openBeside>[2],
): Promise<JointRun> {
  const { partners, opened, alone } = await openBeside(beside, other, own);
  const sessions = [session, other] as const;
  const joint = new BesideSession({ sessions, partners, interrupt: interrupt.signal });
  const { suite, digest } = beside;
  return {
    session: joint,
    alone,
    file(own) {
      const { selection } = own.settings as { selection: { readonly operator?: object } };
      const operator = selection.operator && { operator: { ...selection.operator, digest } };
      const warnings = [...new Set([...opened.warnings, ...own.warnings ?? []])];
      return {
        ...own,
        suite,
        settings: { ...own.settings, selection: { ...selection, ...operator } },
        ...warnings.length === 0 ? {} : { warnings },
        // If a process ended early, the measurements that it lost carry the digest of this side's
        // operator. Replace that digest with the other side's.
        measurements: joint.measurements.map((each) =>
          each.operatorDigest === undefined || digest === undefined
            ? each
            : { ...each, operatorDigest: digest }
        ),
      };
    },
  };
}

/** Names `new-beside.json` for `new.json`. */
export function besidePath(path: string): string {
  const ending = /\.[^./\\]*$/.exec(basename(path))?.[0] ?? "";
  return `${path.slice(0, path.length - ending.length)}-beside${ending}`;
}

/** An id for both files. */
export function newJointRun(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** Compares both files. The other side's comes first, so the verdicts are about this side. */
export function formatJointRun(
  own: NamedResult,
  beside: NamedResult,
  { json, color }: { readonly json: boolean; readonly color: boolean },
): string {
  try {
    const comparison = compareResultFiles([beside, own]);
    return json ? formatComparisonJson(comparison) : formatComparison(comparison, { color });
  } catch (error) {
    // If nothing can be compared, print nothing: the files hold what was measured.
    if (error instanceof NothingComparableError) return "";
    throw error;
  }
}
