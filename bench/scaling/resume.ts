/** Reads an earlier run's file, to continue it. */
import type { ScalingResult, SeriesResult } from "./result.ts";
import { isRecord } from "../../src/files/untrusted_json.ts";

/** The parts of an earlier run's file that `--resume` uses. */
export interface EarlierRun {
  readonly adapter: string;
  readonly version: string;
  readonly commit: string | null;
  readonly date: string;
  readonly series: readonly SeriesResult[];
}

/** The value of the first field, `schema`, in every file. */
export const SCALING_SCHEMA = "gradsink-scaling/1";

/**
 * Reads the text of a file.
 *
 * @param text the file's content, which may be anything
 * @returns the run, with measured calls only; undefined if the text is not a run's file
 */
export function parseEarlier(text: string): EarlierRun | undefined {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(file) || file.schema !== SCALING_SCHEMA || !Array.isArray(file.series)) {
    return undefined;
  }
  const { adapter, date, suite } = file;
  if (typeof adapter !== "string" || typeof date !== "string" || !isRecord(suite)) return undefined;
  const { version, commit } = suite;
  if (typeof version !== "string") return undefined;
  return {
    adapter,
    date,
    version,
    commit: typeof commit === "string" ? commit : null,
    series: (file.series as unknown[]).flatMap((each) => {
      if (!isRecord(each) || !Array.isArray(each.points)) return [];
      const points = (each.points as unknown[]).filter(isMeasured);
      return [{ ...each, points } as unknown as SeriesResult];
    }),
  };
}

/** A call's result, if the earlier run has it. */
export function resultIn(
  earlier: EarlierRun | undefined,
  { kernel, pass, shape, variant }:
    & Pick<SeriesResult, "kernel" | "pass">
    & Pick<ScalingResult, "shape" | "variant">,
): ScalingResult | undefined {
  const key = (lengths: ScalingResult["shape"]): string =>
    JSON.stringify(Object.entries(lengths).sort(([a], [b]) => a < b ? -1 : 1));
  return earlier?.series.filter((each) => each.kernel === kernel && each.pass === pass)
    .flatMap(({ points }) => points)
    .find((point) => point.variant === variant && key(point.shape) === key(shape));
}

function isPositive(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}

function isTime(value: unknown): boolean {
  if (!isRecord(value) || !isPositive(value.time) || !isPositive(value.perUnit)) return false;
  const { interval } = value;
  return interval === undefined ||
    isRecord(interval) && isPositive(interval.low) && isPositive(interval.high);
}

function isMeasured(value: unknown): boolean {
  if (!isRecord(value) || value.status !== "ok" || !isTime(value)) return false;
  const { x, shape, variant, cpu, memory, samples, flops, bytes } = value;
  return isPositive(x) && isPositive(flops) && isPositive(bytes) && typeof variant === "string" &&
    isRecord(shape) && Object.values(shape).every(isPositive) &&
    (cpu === undefined || isTime(cpu)) &&
    isRecord(memory) && isPositive(memory.tensors) && typeof memory.extra === "number" &&
    Array.isArray(samples) && samples.every(isPositive);
}
