/**
 * The part of Observable Plot's interface that the page's pictures use. The library alone would
 * fill more than half of the page's size limit, and this module has a tenth of the library's size.
 * So `../build.ts` replaces the library by this module. A test draws pictures with this module and
 * with the library, and compares the marks' positions.
 */
import { element, type Parent, setAttributes } from "./element.ts";
import { drawMark } from "./draw.ts";
import { createMark, type Mark, type Row } from "./mark.ts";
import {
  type Frame,
  linearScale,
  logScale,
  type NumberFormat,
  type Scale,
  stepScale,
} from "./scale.ts";

interface ScaleOptions {
  readonly type?: "linear" | "log" | "band" | "point";
  readonly axis?: null;
  readonly domain?: readonly unknown[];
  readonly label?: string;
  readonly labelAnchor?: "left" | "center" | "right";
  readonly labelOffset?: number;
  readonly tickFormat?: NumberFormat;
  readonly ticks?: number | readonly number[];
  readonly grid?: boolean;
  readonly padding?: number;
  readonly paddingInner?: number;
  readonly paddingOuter?: number;
}

interface PlotOptions {
  readonly document: unknown;
  readonly width: number;
  readonly height: number;
  readonly marginLeft: number;
  readonly marginRight: number;
  readonly marginTop: number;
  readonly marginBottom: number;
  readonly style: { readonly fontSize: string };
  readonly x: ScaleOptions;
  readonly y?: ScaleOptions;
  readonly fy?: ScaleOptions;
  readonly color: { readonly type: "identity" };
  readonly symbol?: { readonly type: "identity" };
  readonly marks: readonly unknown[];
}

type Marking = (data: readonly unknown[], options?: Row) => Mark;

function marking(kind: Mark["kind"]): Marking {
  return (data, options = {}) => createMark(kind, data, options);
}

/** A rectangle from `x1` to `x2` over the whole height. */
export const rect: Marking = marking("rect");
/** A vertical line from `y1` to `y2`, or over the whole height. */
export const ruleX: Marking = marking("ruleX");
/** A horizontal line from `x1` to `x2`, or over the whole width. */
export const ruleY: Marking = marking("ruleY");
/** Text. */
export const text: Marking = marking("text");
/** Symbols. */
export const dot: Marking = marking("dot");
/** Lines through points: one line for each value of `z`. */
export const line: Marking = marking("line");
/** Areas between `y1` and `y2`: one area for each value of `z`. */
export const areaY: Marking = marking("areaY");
/** A bar from `x1` to `x2` in the band of `y`. */
export const barX: Marking = marking("barX");

/** The length of a tick's line, in pixels. */
const TICK = 6;

/** Draws a plot with Observable Plot's options, as an SVG element of `options.document`. */
export function plot(options: PlotOptions): unknown {
  const { width, height, marginLeft, marginRight, marginTop, marginBottom, fy } = options;
  const right = width - marginRight;
  const bottom = height - marginBottom;
  const x = positionScale(options.x, [marginLeft, right]);
  const facets = facetsOf(fy, [marginTop, bottom]);
  const svg = element(options.document, "svg", {
    fill: "currentColor",
    "font-family": "system-ui, sans-serif",
    "font-size": options.style.fontSize,
    "text-anchor": "middle",
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
  });
  const marks = options.marks.flat(Infinity) as Mark[];
  const frames = facets.map(({ top, bottom }) => ({
    x,
    y: options.y === undefined ? undefined : positionScale(options.y, [bottom, top]),
    left: marginLeft,
    right,
    top,
    bottom,
  }));
  for (const frame of frames) drawGrid(svg, frame, options);
  drawXAxis(svg, { ...frames[0]!, bottom }, { ...options.x, height });
  const y = options.y;
  if (y !== undefined && y.axis !== null) drawYAxis(svg, frames[0]!, y);
  for (const mark of marks) {
    const group = svg.append("g", {});
    facets.forEach(({ value }, i) => drawMark(group, frames[i]!, mark.inFacet(value)));
  }
  return svg.node;
}

interface Facet {
  /** The facet's value; undefined without facets. */
  readonly value: unknown;
  readonly top: number;
  readonly bottom: number;
}

function facetsOf(fy: ScaleOptions | undefined, [top, bottom]: [number, number]): Facet[] {
  if (fy === undefined) return [{ value: undefined, top, bottom }];
  const { paddingInner: inner = 0.1, paddingOuter: outer = 0.1 } = fy;
  const scale = stepScale(fy.domain!, [top, bottom], { inner, outer });
  return fy.domain!.map((value) => ({
    value,
    top: scale(value),
    bottom: scale(value) + scale.width,
  }));
}

function positionScale(options: ScaleOptions, range: [number, number]): Scale {
  const { domain = [0, 1], type = Number.isFinite(domain[0]) ? "linear" : "point" } = options;
  if (type === "band" || type === "point") return steps(options, { domain, type, range });
  const numbers = domain as [number, number];
  const scale = (type === "log" ? logScale : linearScale)(numbers, range);
  const { ticks = 5, tickFormat = "~g" } = options;
  const label = scale.format(typeof ticks === "number" ? ticks : 10, tickFormat);
  return Object.assign((value: unknown) => scale(value as number), {
    width: 0,
    ticks: (typeof ticks === "number" ? scale.ticks(ticks) : ticks)
      .map((value) => ({ value, label: label(value) })),
  });
}

function steps(
  { padding = 0.5, axis }: ScaleOptions,
  { domain, type, range }: {
    readonly domain: readonly unknown[];
    readonly type: "band" | "point";
    readonly range: [number, number];
  },
): Scale {
  // A vertical axis's range begins at the bottom, but its first step is at the top: sort the ends.
  const ends: [number, number] = range[0] > range[1] ? [range[1], range[0]] : range;
  const inner = type === "band" ? padding : 1;
  const scale = stepScale(domain, ends, { inner, outer: padding });
  const ticks = axis === null ? [] : domain.map((value) => ({ value, label: String(value) }));
  return Object.assign((value: unknown) => scale(value), { width: scale.width, ticks });
}

function drawGrid(svg: Parent, frame: Frame, { x, y }: PlotOptions): void {
  const group = svg.append("g", { stroke: "currentColor", "stroke-opacity": 0.1 });
  if (x.grid) {
    for (const { value } of frame.x.ticks) {
      group.append("line", {
        x1: frame.x(value),
        x2: frame.x(value),
        y1: frame.top,
        y2: frame.bottom,
      });
    }
  }
  if (y?.grid) {
    for (const { value } of frame.y!.ticks) {
      group.append("line", {
        x1: frame.left,
        x2: frame.right,
        y1: frame.y!(value),
        y2: frame.y!(value),
      });
    }
  }
}

function drawXAxis(
  svg: Parent,
  { x, left, right, bottom }: Frame,
  { label, labelAnchor = "center", labelOffset, height }: ScaleOptions & { height: number },
): void {
  const ticks = svg.append("g", { stroke: "currentColor" });
  const words = svg.append("g", {});
  for (const { value, label } of x.ticks) {
    const place = x(value) + x.width / 2;
    ticks.append("line", { x1: place, x2: place, y1: bottom, y2: bottom + TICK });
    if (label !== "") {
      words.append("text", { x: place, y: bottom + TICK + 3, dy: "0.71em" }, label);
    }
  }
  if (label === undefined) return;
  const places = {
    left: [left, "start"],
    center: [(left + right) / 2, "middle"],
    right: [right, "end"],
  };
  const [place, anchor] = places[labelAnchor] as [number, string];
  const y = labelOffset === undefined ? height - 5 : bottom + labelOffset - 3;
  setAttributes(svg.append("text", {}, label), { x: place, y, "text-anchor": anchor });
}

function drawYAxis(svg: Parent, { y, left, top }: Frame, { label }: ScaleOptions): void {
  const ticks = svg.append("g", { stroke: "currentColor" });
  const words = svg.append("g", { "text-anchor": "end" });
  for (const { value, label } of y!.ticks) {
    const place = y!(value);
    ticks.append("line", { x1: left - TICK, x2: left, y1: place, y2: place });
    if (label !== "") words.append("text", { x: left - TICK - 3, y: place, dy: "0.32em" }, label);
  }
  if (label === undefined) return;
  svg.append("text", { x: 3, y: Math.max(11, top - 13), "text-anchor": "start" }, label);
}
