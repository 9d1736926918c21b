/**
 * Draws two machines' comparison: the change of every measurement's time with its interval, and a
 * band that marks the changes within the threshold.
 */
import * as Plot from "@observablehq/plot";
import type { Comparison } from "../../measure/comparison.ts";
import type { Verdict } from "../../measure/comparison/verdict.ts";
import { rowName } from "./bar_plot.ts";
import { formatChange } from "../format.ts";
import { drawPicture, type PictureOptions } from "../draw.ts";
import type { Markup } from "../html.ts";
import { plotText } from "../plot.ts";

interface Change {
  readonly key: string;
  readonly operator: string;
  readonly shape: string;
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  readonly verdict: Verdict;
  readonly label: string;
}

const colors: Readonly<Record<Verdict, string>> = {
  faster: "var(--good)",
  slower: "var(--bad)",
  same: "var(--faint)",
  ambiguous: "var(--unsure)",
  "no data": "var(--faint)",
};

const signs: Readonly<Record<Verdict, string>> = {
  faster: "triangle",
  slower: "diamond",
  same: "square",
  ambiguous: "circle",
  "no data": "circle",
};

function changesOf(comparison: Comparison): Change[] {
  return comparison.rows.flatMap((row, i) => {
    const pair = row.cells[1]!.pair;
    if (pair?.ratio === undefined) return [];
    return [{
      key: String(i),
      operator: plotText(`${row.kernel} ${row.pass}`, 48),
      shape: plotText(rowName(row), 48),
      ratio: pair.ratio,
      low: pair.interval?.low ?? pair.ratio,
      high: pair.interval?.high ?? pair.ratio,
      verdict: pair.verdict,
      label: `${formatChange(pair.ratio)} ${pair.verdict}`,
    }];
  });
}

/** Options of {@linkcode changePlot}. */
export interface ChangePlotOptions extends PictureOptions {
  readonly width: number;
}

/** Draws the changes from the first of two machines to the second. Undefined if none is known. */
export function changePlot(comparison: Comparison, options: ChangePlotOptions): Markup | undefined {
  const narrow = options.width < 560;
  const changes = changesOf(comparison);
  if (changes.length === 0) return undefined;
  const limit = 1 + comparison.threshold;
  // In a narrow picture a measurement's name stands above its interval, in a wide one left of it.
  const lineHeight = narrow ? 54 : 22;
  // Sans-serif letters of 12 pixels are 6.6 pixels wide on average.
  const longest = Math.max(...changes.map((change) => fullName(change).length));
  const left = narrow ? 10 : Math.min(0.42 * options.width, 24 + 6.6 * longest);
  const low = Math.min(1 / limit ** 1.6, ...changes.map((change) => change.low));
  const high = Math.max(limit ** 1.6, ...changes.map((change) => change.high));
  return drawPicture(options, {
    width: options.width,
    height: changes.length * lineHeight + 62,
    marginLeft: left,
    marginRight: 138,
    marginTop: 4,
    marginBottom: 44,
    x: {
      type: "log",
      domain: [low / 1.01, high * 1.01],
      label: narrow
        ? "← less time        more time →"
        : "← less time        change of the median time        more time →",
      labelAnchor: "center",
      tickFormat: (ratio: number) => formatChange(ratio).replace(".0 %", " %"),
      // Plot has no good ticks for a logarithmic scale of less than a decade.
      ticks: tickRatios(low, high, narrow ? 4 : 9),
      grid: true,
    },
    y: { axis: null, domain: changes.map(({ key }) => key) },
    marks: [
      Plot.rect([0], { x1: () => 1 / limit, x2: () => limit, fill: "var(--band)" }),
      Plot.ruleX([1], { stroke: "var(--ink)", strokeOpacity: 0.7 }),
      ...names(changes, { narrow }),
      Plot.ruleY(changes, {
        y: "key",
        x1: "low",
        x2: "high",
        dy: narrow ? 14 : 0,
        stroke: (change: Change) => colors[change.verdict],
        strokeWidth: 2,
        marker: "tick",
      } as never),
      Plot.dot(changes, {
        y: "key",
        x: "ratio",
        dy: narrow ? 14 : 0,
        fill: (change: Change) => colors[change.verdict],
        symbol: (change: Change) => signs[change.verdict],
        r: 4.5,
      }),
      Plot.text(changes, {
        y: "key",
        frameAnchor: "right",
        textAnchor: "start",
        dx: 10,
        dy: narrow ? 14 : 0,
        text: "label",
        fill: (change: Change) => colors[change.verdict],
        fontWeight: "600",
      }),
    ],
  });
}

function fullName({ operator, shape }: Change): string {
  return `${operator}  ${shape}`;
}

/** The measurements' names: left of the frame, or in two lines above the intervals. */
function names(
  changes: readonly Change[],
  { narrow }: { readonly narrow: boolean },
): Plot.Markish[] {
  const name = (text: (change: Change) => string, place: { dx: number; dy: number }) =>
    Plot.text(changes, {
      y: "key",
      frameAnchor: "left",
      textAnchor: narrow ? "start" : "end",
      ...place,
      text,
      // An outline in the background's color keeps names legible over the band and the lines.
      stroke: "var(--surface)",
      strokeWidth: 3,
      fill: "currentColor",
    });
  return narrow
    ? [
      name(({ operator }) => operator, { dx: 0, dy: -17 }),
      name(({ shape }) => shape, { dx: 0, dy: -3 }),
    ]
    : [name(fullName, { dx: -10, dy: 0 })];
}

/** From small to large. */
const ROUND = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];
const ROUND_GROWTH = [...ROUND.slice(0, 8), 1, 2, 4, 9, 19, 49, 99, 999, 9999, 99999, 999999];

/**
 * Ticks between two ratios, at round changes such as −10 % or +20 %. The ticks begin at 0 % and go
 * outward on both sides. A round change gets no tick if its label would be too close to the last
 * label.
 */
function tickRatios(low: number, high: number, count: number): number[] {
  const distance = Math.log(high / low) / count;
  const ticks = [1];
  const side = (ratios: readonly number[]) => {
    let last = 0;
    for (const ratio of ratios) {
      if (ratio < low || ratio > high || Math.abs(Math.log(ratio) - last) < distance) continue;
      ticks.push(ratio);
      last = Math.log(ratio);
    }
  };
  side(ROUND.map((change) => 1 - change));
  side(ROUND_GROWTH.map((change) => 1 + change));
  return ticks;
}
