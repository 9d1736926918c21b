/**
 * Writes gradient norms with respect to values, keys and queries. A key's or query's gradient may
 * lie below its floor: the size of its rounding error.
 */
import { hasSinkLogit } from "../../reference/llama/config.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import { estimate, figure, NONE } from "./figure.ts";

/** The text for a gradient that is 0 by theory; rounding may make the measured one nonzero. */
export const ZERO = "0";

export interface PathAtSink {
  readonly path: "query" | "key" | "value";
  /** The norm of the path's gradient at position s, the sink. */
  readonly sink: number;
  /** The rounding error of `sink`. Undefined if unknown, as for values and in older files. */
  readonly floor: number | undefined;
}

/**
 * The text for a gradient below its floor. For the query of position 0 the text is 0: the query
 * sees only one key, so its gradient is 0 unless a learned sink takes some of the weight.
 *
 * @param gradient the gradient of one layer, or the mean over layers
 * @returns undefined for a gradient that reaches its floor, or whose floor is unknown
 */
export function belowFloor(
  { config, settings }: Pick<SinkMeasurement, "config" | "settings">,
  { path, sink, floor }: PathAtSink,
): string | undefined {
  if (floor === undefined || sink >= floor) return undefined;
  const isZero = path === "query" && settings.position === 0 && !hasSinkLogit(config);
  return isZero ? ZERO : `below its floor (≤ ${figure(floor)})`;
}

/** The mean over layers of the rounding error of ‖∇k_s‖ or ‖∇q_s‖; undefined if unknown. */
export function summaryFloor(
  { summary }: Pick<SinkMeasurement, "summary">,
  path: PathAtSink["path"],
): number | undefined {
  return path === "value" ? undefined : summary[`${path}GradientFloor`];
}

/**
 * If the gradient of query s is below this share of the early queries' gradients, the report writes
 * 0 for it: what is left is float32's rounding error. Older files, which have no floor, need this.
 */
const ROUNDING = 2 ** -20;

/**
 * Writes a path's gradient at position s, divided by that of the early tokens, with a 95 %
 * interval. Both gradients are means over layers.
 *
 * @returns for example `3.71× (3.30 to 4.20)`, `0×`, or that the gradient is below its floor
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
