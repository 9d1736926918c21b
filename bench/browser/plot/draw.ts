/** Draws marks. */
// @ts-types="npm:@types/d3-shape@3"
import {
  area,
  curveLinear,
  curveStep,
  line,
  symbol,
  symbolCircle,
  symbolCross,
  symbolDiamond,
  symbolSquare,
  symbolStar,
  symbolTriangle,
  type SymbolType,
  symbolWye,
} from "d3-shape";
import type { Attributes, Parent } from "./element.ts";
import type { Mark } from "./mark.ts";
import type { Frame, Scale } from "./scale.ts";

// The hexagon as Observable Plot draws it: with a corner at the top, and of area `size`.
const symbolHexagon: SymbolType = {
  draw(context, size) {
    const radius = Math.sqrt(size / Math.PI) * Math.sqrt(2 * Math.PI / (3 * Math.sqrt(3)));
    const turn = radius * Math.sqrt(3) / 2;
    context.moveTo(0, radius);
    for (
      const [x, y] of [[turn, radius / 2], [turn, -radius / 2], [0, -radius], [
        -turn,
        -radius / 2,
      ], [-turn, radius / 2]] as const
    ) context.lineTo(x, y);
    context.closePath();
  },
};

const symbols: Readonly<Record<string, SymbolType>> = {
  circle: symbolCircle,
  cross: symbolCross,
  diamond: symbolDiamond,
  hexagon: symbolHexagon,
  square: symbolSquare,
  star: symbolStar,
  triangle: symbolTriangle,
  wye: symbolWye,
};

/** Half the length of a `tick` marker at an end of a rule, as a multiple of the stroke width. */
const END = 3.3;

interface Reader {
  number(name: string, datum: unknown): number;
  place(scale: Scale | undefined, name: string, datum: unknown): number;
  style(datum: unknown, outlined: boolean): Attributes;
}

function reader(mark: Mark): Reader {
  const text = (name: string, datum: unknown): string | undefined => {
    const value = mark.of(name, datum);
    return value === undefined ? undefined : String(value);
  };
  return {
    number: (name, datum) => Number(mark.of(name, datum) ?? 0),
    place: (scale, name, datum) => scale!(mark.of(name, datum)) + scale!.width / 2,
    style: (datum, outlined) => ({
      fill: text("fill", datum) ?? (outlined ? "none" : undefined),
      "fill-opacity": text("fillOpacity", datum),
      stroke: text("stroke", datum) ?? (outlined ? "currentColor" : undefined),
      "stroke-opacity": text("strokeOpacity", datum),
      "stroke-width": text("strokeWidth", datum),
      "stroke-dasharray": text("strokeDasharray", datum)?.replace("none", "") || undefined,
      "stroke-linejoin": text("strokeLinejoin", datum),
      "stroke-linecap": text("strokeLinecap", datum),
    }),
  };
}

/** Draws a mark as elements inside `group`. All of the mark's data must belong to this frame. */
export function drawMark(group: Parent, frame: Frame, mark: Mark): void {
  if (mark.kind === "line" || mark.kind === "areaY") return drawSeries(group, frame, mark);
  const draw = {
    rect: drawRect,
    ruleX: drawRuleX,
    ruleY: drawRuleY,
    text: drawText,
    dot: drawDot,
  }[mark.kind as "rect"] ?? drawBar;
  const read = reader(mark);
  for (const datum of mark.data) {
    const made = draw(group, frame, { mark, read, datum });
    const title = mark.of("title", datum);
    if (title !== undefined) made.append("title", {}, String(title));
  }
}

interface Datum {
  readonly mark: Mark;
  readonly read: Reader;
  readonly datum: unknown;
}

function drawRect(group: Parent, { x, top, bottom }: Frame, { read, datum }: Datum): Parent {
  const [x1, x2] = [read.place(x, "x1", datum), read.place(x, "x2", datum)];
  return group.append("rect", {
    x: Math.min(x1, x2),
    width: Math.abs(x2 - x1),
    y: top,
    height: bottom - top,
    ...read.style(datum, false),
  });
}

function drawBar(group: Parent, { x, y }: Frame, { mark, read, datum }: Datum): Parent {
  const [x1, x2] = [read.place(x, "x1", datum), read.place(x, "x2", datum)];
  const top = y!(mark.of("y", datum));
  const bottom = top + y!.width;
  // The corners at `x2` are rounded, with a radius of at most the bar's length and half its height.
  const r = Math.min(read.number("rx2", datum), x2 - x1, (bottom - top) / 2);
  const arc = `A${r},${r},0,0,1`;
  return group.append("path", {
    d: `M${x1},${top}H${x2 - r}${arc},${x2},${top + r}V${bottom - r}${arc},${
      x2 - r
    },${bottom}H${x1}Z`,
    ...read.style(datum, false),
  });
}

function drawRuleX(
  group: Parent,
  { x, y, top, bottom }: Frame,
  { mark, read, datum }: Datum,
): Parent {
  const place = read.place(x, "x", datum);
  return group.append("line", {
    x1: place,
    x2: place,
    y1: mark.has("y1") ? read.place(y, "y1", datum) : top,
    y2: mark.has("y2") ? read.place(y, "y2", datum) : bottom,
    ...read.style(datum, true),
  });
}

function drawRuleY(
  group: Parent,
  { x, y, left, right }: Frame,
  { mark, read, datum }: Datum,
): Parent {
  const place = read.place(y, "y", datum) + read.number("dy", datum);
  const x1 = mark.has("x1") ? read.place(x, "x1", datum) : left;
  const x2 = mark.has("x2") ? read.place(x, "x2", datum) : right;
  const style = read.style(datum, true);
  const made = group.append("line", { x1, x2, y1: place, y2: place, ...style });
  if (mark.of("marker", datum) === "tick") {
    const half = END * Number(mark.of("strokeWidth", datum) ?? 1);
    for (const end of [x1, x2]) {
      group.append("line", { x1: end, x2: end, y1: place - half, y2: place + half, ...style });
    }
  }
  return made;
}

function drawText(
  group: Parent,
  { x, y, left, right, top, bottom }: Frame,
  { mark, read, datum }: Datum,
): Parent {
  const anchor = String(mark.of("frameAnchor", datum) ?? "");
  const atX = mark.has("x")
    ? read.place(x, "x", datum)
    : anchor.endsWith("left")
    ? left
    : anchor.endsWith("right")
    ? right
    : (left + right) / 2;
  const atY = mark.has("y")
    ? read.place(y, "y", datum)
    : anchor.startsWith("top")
    ? top
    : (top + bottom) / 2;
  const usual = anchor.endsWith("left") ? "start" : anchor.endsWith("right") ? "end" : undefined;
  const rim = mark.has("stroke");
  return group.append("text", {
    ...read.style(datum, false),
    x: atX + read.number("dx", datum),
    y: atY + read.number("dy", datum),
    dy: anchor.startsWith("top") ? "0.71em" : "0.32em",
    "text-anchor": String(mark.of("textAnchor", datum) ?? usual ?? "middle"),
    "font-weight": mark.of("fontWeight", datum) as string | undefined,
    "paint-order": rim ? "stroke" : undefined,
    "stroke-linejoin": rim ? "round" : undefined,
  }, String(mark.of("text", datum)));
}

function drawDot(
  group: Parent,
  { x, y, top, bottom }: Frame,
  { mark, read, datum }: Datum,
): Parent {
  const atX = read.place(x, "x", datum) + read.number("dx", datum);
  const middle = mark.has("y") ? read.place(y, "y", datum) : (top + bottom) / 2;
  const atY = middle + read.number("dy", datum);
  const radius = Number(mark.of("r", datum) ?? 3);
  const type = symbols[String(mark.of("symbol", datum) ?? "circle")] ?? symbolCircle;
  return group.append("path", {
    transform: `translate(${atX},${atY})`,
    d: symbol(type, Math.PI * radius ** 2)()!,
    ...read.style(datum, !mark.has("fill")),
  });
}

// Draws one path per series, in the order in which the series first appear.
function drawSeries(group: Parent, frame: Frame, mark: Mark): void {
  const read = reader(mark);
  const { x, y } = frame;
  const series = new Map<unknown, unknown[]>();
  for (const datum of mark.data) {
    const key = mark.of("z", datum);
    const list = series.get(key);
    if (list === undefined) series.set(key, [datum]);
    else list.push(datum);
  }
  for (const data of series.values()) {
    const curve = mark.of("curve", data[0]) === "step" ? curveStep : curveLinear;
    const atX = (datum: unknown): number => read.place(x, "x", datum);
    const path = mark.kind === "line"
      ? line<unknown>(atX, (datum) => read.place(y, "y", datum)).curve(curve)
      : area<unknown>(
        atX,
        (datum) => read.place(y, "y1", datum),
        (datum) => read.place(y, "y2", datum),
      ).curve(curve);
    group.append("path", { ...read.style(data[0], mark.kind === "line"), d: path(data) ?? "" });
  }
}
