/** What stands in place of a gradient by a key or query that rounding leaves nothing of. */
import { hasSinkLogit } from "../../reference/llama/config.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import { estimate, figure, NONE } from "./figure.ts";

/** How a gradient is shown that is 0, whatever rounding makes of it. */
export const ZERO = "0";

/** A path of the gradient, at s. */
export interface PathAtSink {
  readonly path: "query" | "key" | "value";
  /** Its norm. */
  readonly sink: number;
  /** What rounding leaves of it; undefined where no floor is known, as in older files. */
  readonly floor: number | undefined;
}

/**
 * What to say of a gradient below its floor. Of the query of position 0, which sees one key, it is
 * 0, as the gradient is; unless a learned sink takes a part of its weight.
 *
 * @param measurement that the gradient is of
 * @param gradient of one layer, or the mean over layers
 * @returns undefined of a gradient above its floor
 */
export function belowFloor(
  { config, settings }: Pick<SinkMeasurement, "config" | "settings">,
  { path, sink, floor }: PathAtSink,
): string | undefined {
  if (floor === undefined || sink >= floor) return undefined;
  const isZero = path === "query" && settings.position === 0 && !hasSinkLogit(config);
  return isZero ? ZERO : `below its floor (≤ ${figure(floor)})`;
}

/** The floor of a path's mean over layers. */
export function summaryFloor(
  { summary }: Pick<SinkMeasurement, "summary">,
  path: PathAtSink["path"],
): number | undefined {
  return path === "value" ? undefined : summary[`${path}GradientFloor`];
}

/** Where no floor is known, a gradient smaller than others by more than this is 0 in float32. */
const ROUNDING = 2 ** -20;

/**
 * A path's gradient at s against the early tokens, mean over layers, with its 95 % interval.
 *
 * @returns for example `3.7× (3.3 to 4.2)`, or what {@linkcode belowFloor} says
 */
export function pathRatio(measurement: SinkMeasurement, path: PathAtSink["path"]): string {
  const { summary: { paths }, intervals } = measurement;
  if (paths === null) return NONE;
  const { sink, ratio } = paths[path];
  const atFloor = belowFloor(measurement, { path, sink, floor: summaryFloor(measurement, path) });
  if (atFloor !== undefined && atFloor !== ZERO) return atFloor;
  if (atFloor === ZERO || (path === "query" && (ratio ?? 1) < ROUNDING)) return "0×";
  return estimate(ratio, intervals?.summary[`${path}Path`], "×");
}
