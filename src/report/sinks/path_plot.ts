/** Draws the norms of the gradients with respect to values, keys and queries, over positions. */
import * as Plot from "@observablehq/plot";
import { drawPicture } from "../draw.ts";
import type { Markup } from "../html.ts";
import { machineColor, machineDashes, machineSign, plotText } from "../plot.ts";
import {
  logDomain,
  logTick,
  logTicks,
  pictureLegend,
  plotAxis,
  type SinkPlotOptions,
} from "../plot_parts.ts";
import type { PathGradientRow } from "./plot_rows.ts";

const PATHS = ["value", "key", "query"] as const;

/** A gradient below this share of the largest one counts as 0: float32 rounds to 24 bits. */
const ROUNDING = 2 ** -23;

/**
 * Draws ‖∇v_t‖, ‖∇k_t‖ and ‖∇q_t‖ over positions, with a panel for each variant, or for each moment
 * of training. If several runs give rows of equal panel, path and position, one point shows the
 * rows' geometric mean. A logarithmic axis cannot show a gradient of 0, such as the query's at
 * token 0, so "▾ 0" stands at the bottom instead. "▾ floor" marks a gradient below its rounding
 * error.
 *
 * @returns undefined if there is no row above 0
 */
export function pathGradientPlot(
  rows: readonly PathGradientRow[],
  options: SinkPlotOptions,
): Markup | undefined {
  const { width } = options;
  if (!rows.some(({ value }) => value > 0)) return undefined;
  const names = options.series ?? [...new Set(rows.map(({ panel }) => panel))];
  const points = joined(rows).filter(({ panel }) => names.includes(panel));
  const most = points.reduce((largest, { value }) => Math.max(largest, value), 0);
  const isAbove = ({ value, belowFloor = false }: PathGradientRow) =>
    !belowFloor && value > ROUNDING * most;
  const above = points.filter(isAbove);
  const domain = logDomain(above.map(({ value }) => value));
  const atFoot = points.filter((point) => !isAbove(point));
  const legend = pictureLegend(
    PATHS.map((path, i) => ({
      text: { value: "values ‖∇v‖", key: "keys ‖∇k‖", query: "queries ‖∇q‖" }[path],
      color: machineColor(i),
      symbol: machineSign(i),
    })),
    { width, left: 58, above: 44 },
  );
  const panelOf = (row: { panel: string }) => plotText(row.panel, 30);
  const last = points.reduce((most, { position }) => Math.max(most, position), 1);
  return drawPicture(options, {
    width,
    height: 300 + legend.height,
    marginLeft: 58,
    marginRight: 12,
    marginTop: 34 + legend.height,
    marginBottom: 44,
    fx: {
      domain: names.map((name) => plotText(name, 30)),
      axis: null,
      paddingInner: 0.08,
      paddingOuter: 0,
    },
    // A logarithmic axis has no place for position 0, the picture's subject. So each point is drawn
    // at its position + 1.
    x: { type: "log", domain: [0.9, 1.15 * (last + 1)] },
    y: { type: "log", domain },
    marks: [
      Plot.frame({ stroke: "var(--rule)" }),
      ...plotAxis({
        axis: "x",
        ticks: positionTicks(last, Math.floor((width - 70) / names.length / 30)),
        format: (place) => String(place - 1),
        label: "position →",
        left: 58,
      }),
      ...plotAxis({
        axis: "y",
        ticks: logTicks(domain, 7),
        format: logTick,
        label: "↑ gradient norm",
        left: 58,
      }),
      ...PATHS.map((path, i) =>
        Plot.line(stretches(above.filter((point) => point.path === path)), {
          fx: panelOf,
          x: (row: PathGradientRow) => row.position + 1,
          y: "value",
          z: "stretch",
          stroke: machineColor(i),
          strokeWidth: 1.6,
          strokeDasharray: machineDashes(i),
        })
      ),
      Plot.dot(stretches(above).filter(({ position, alone }) => position === 0 || alone), {
        fx: panelOf,
        x: (row: PathGradientRow) => row.position + 1,
        y: "value",
        r: (row: PathGradientRow) => row.position === 0 ? 4.5 : 3,
        fill: (row: PathGradientRow) => machineColor(PATHS.indexOf(row.path)),
        symbol: (row: PathGradientRow) => machineSign(PATHS.indexOf(row.path)),
      }),
      Plot.text(atFoot, {
        fx: panelOf,
        x: (row: PathGradientRow) => row.position + 1,
        y: domain[0],
        dy: -6,
        dx: 3,
        textAnchor: "start",
        text: ({ belowFloor = false }: PathGradientRow) => belowFloor ? "▾ floor" : "▾ 0",
        fill: (row: PathGradientRow) => machineColor(PATHS.indexOf(row.path)),
      }),
      Plot.text(names, {
        fx: (name: string) => plotText(name, 30),
        text: (name: string) => plotText(name, 30),
        frameAnchor: "top",
        dy: -14,
        fontWeight: "600",
      }),
      ...legend.marks,
    ],
  });
}

/**
 * Groups points into stretches of neighboring positions. From position 32 on, only some positions
 * are kept, and no line may connect those that are not neighbors.
 */
function stretches(
  points: readonly PathGradientRow[],
): (PathGradientRow & { readonly stretch: string; readonly alone: boolean })[] {
  const measured = new Set(
    points.map(({ panel, path, position }) => `${panel} ${path} ${position}`),
  );
  const has = ({ panel, path }: PathGradientRow, position: number) =>
    measured.has(`${panel} ${path} ${position}`);
  const start = (point: PathGradientRow): number => {
    let position = point.position;
    while (has(point, position - 1)) position--;
    return position;
  };
  return points.map((point) => ({
    ...point,
    stretch: `${point.panel} ${point.path} ${start(point)}`,
    alone: !has(point, point.position - 1) && !has(point, point.position + 1),
  }));
}

/**
 * Chooses at most max(2, `most`) ticks, as positions counted from 1: all powers of 2, or only every
 * second, third or n-th power.
 */
function positionTicks(last: number, most: number): number[] {
  const powers = Array.from({ length: Math.floor(Math.log2(last + 1)) + 1 }, (_, i) => 2 ** i);
  const step = Math.max(1, Math.ceil(powers.length / Math.max(2, most)));
  return powers.filter((_, i) => i % step === 0);
}

function joined(rows: readonly PathGradientRow[]): PathGradientRow[] {
  const groups = new Map<
    string,
    { row: PathGradientRow; logs: number; count: number; belowFloor: boolean }
  >();
  for (const row of rows) {
    const key = JSON.stringify([row.panel, row.path, row.position]);
    const group = groups.get(key) ?? { row, logs: 0, count: 0, belowFloor: false };
    group.logs += Math.log(row.value);
    group.count++;
    group.belowFloor ||= row.belowFloor ?? false;
    groups.set(key, group);
  }
  return [...groups.values()]
    .map(({ row, logs, count, belowFloor }) => ({
      ...row,
      value: Math.exp(logs / count),
      belowFloor,
    }))
    .sort((a, b) => a.position - b.position);
}
