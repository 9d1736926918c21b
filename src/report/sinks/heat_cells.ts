/** Turns measurements into the cells of heat maps: one function per map. */
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { AttentionMap, StatesMeasurement } from "../../sinks/states/measurement.ts";
import type { HeatCell } from "./heat_map.ts";

/** The sink score α_s of every query head: layers along x, heads along y. */
export function scoreCells({ layers }: SinkMeasurement): HeatCell[] {
  return layers.flatMap(({ layer, attention }) =>
    (attention?.heads ?? []).map(({ head, score }) => ({ x: layer, y: head, value: score }))
  );
}

/** The share of (text, head) pairs with a sink: positions along x, layers along y. */
export function sinkRateCells({ layers, sinkPositions }: StatesMeasurement): HeatCell[] {
  return layers.flatMap(({ layer, sinkRates }) =>
    sinkRates === null
      ? []
      : sinkPositions.map((position, i) => ({ x: position, y: layer, value: sinkRates[i]! }))
  );
}

/** ‖h_out‖ of the first tokens: positions along x, layers along y. */
export function normCells({ layers, positions }: SinkMeasurement): HeatCell[] {
  // From position 32 on, a measurement keeps few positions. Leave them out: the map would show them
  // side by side, like neighbors.
  const dense = positions.filter((position, i) => position === i);
  return layers.flatMap(({ layer, outputByPosition }) =>
    dense.map((position, i) => ({ x: position, y: layer, value: outputByPosition[i]! }))
  );
}

/** The largest |h| of each of the first tokens: positions along x, layers along y. */
export function largestCells(
  { positions }: SinkMeasurement,
  { layers }: StatesMeasurement,
): HeatCell[] {
  const dense = positions.filter((position, i) => position === i);
  return layers.flatMap(({ layer, largestByPosition }) =>
    dense.map((position, i) => ({ x: position, y: layer, value: largestByPosition[i]! }))
  );
}

/** The largest |h| in each channel that the measurement keeps: channels along x, layers along y. */
export function channelCells({ channels }: StatesMeasurement): HeatCell[] {
  return (channels?.largest ?? []).flatMap((largest, layer) =>
    largest.map((value, x) => ({ x, y: layer, value }))
  );
}

/** Keys along x, queries along y. */
export function attentionCells({ size, weights }: AttentionMap): HeatCell[] {
  return weights.flatMap((weight, i) => {
    const [query, key] = [Math.floor(i / size), i % size];
    return key > query ? [] : [{ x: key, y: query, value: weight }];
  });
}
