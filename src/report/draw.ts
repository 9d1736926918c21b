/** Draws with Observable Plot: a static, labeled SVG, plain or in facets. */
import * as Plot from "@observablehq/plot";
import { escapeTerminal } from "../escape.ts";
import { Markup } from "./html.ts";
import {
  FACET_GAP,
  MARGIN_BOTTOM,
  PANEL_WIDTH,
  type PictureText,
  type SvgDocument,
  type SvgElement,
} from "./plot.ts";

export interface PictureOptions {
  readonly document: SvgDocument;
  readonly text: PictureText;
}

const numeric = new Set([
  "d",
  "transform",
  "x",
  "x1",
  "x2",
  "y",
  "y1",
  "y2",
  "cx",
  "cy",
  "r",
  "width",
  "height",
]);

/** Rounds coordinates to 0.01 pixel. This saves bytes, and every machine draws the same SVG. */
function roundAttributes(element: SvgElement): void {
  for (const name of numeric) {
    const value = element.getAttribute(name);
    if (value !== null && /\d\.\d{3}/.test(value)) {
      element.setAttribute(
        name,
        value.replace(
          /-?\d+\.\d{3,}(?:e-?\d+)?/g,
          (text) => String(Math.round(Number(text) * 100) / 100),
        ),
      );
    }
  }
  for (const child of element.children) roundAttributes(child);
}

/** Turns style declarations into attributes: a strict Content-Security-Policy forbids `style`. */
function presentStyles(element: SvgElement): void {
  const style = element.getAttribute("style");
  if (style !== null) {
    element.removeAttribute("style");
    for (const declaration of style.split(";")) {
      const [name = "", value = ""] = declaration.split(":").map((part) => part.trim());
      if (value !== "") element.setAttribute(name, value);
    }
  }
  for (const child of element.children) presentStyles(child);
}

/**
 * Draws a picture with Observable Plot: one static image with a title and a description.
 *
 * @param plot Plot's options. The marks' colors must be CSS colors, their symbols Plot's names
 */
export function drawPicture(
  { document, text }: PictureOptions,
  plot: Omit<Plot.PlotOptions, "document" | "style">,
): Markup {
  const svg: SvgElement = Plot.plot({
    document: document as never,
    style: { fontSize: "12px" },
    color: { type: "identity" },
    symbol: { type: "identity" as never },
    ...plot,
  }) as never;
  for (const child of [...svg.children]) {
    if (child.tagName.toLowerCase() === "style") child.remove();
  }
  roundAttributes(svg);
  presentStyles(svg);
  const labeled = (name: string, content: string) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    element.setAttribute("id", `${text.id}-${name}`);
    element.textContent = escapeTerminal(content);
    svg.insertBefore(element, svg.firstChild);
  };
  labeled("desc", text.description);
  labeled("title", text.title);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-labelledby", `${text.id}-title`);
  svg.setAttribute("aria-describedby", `${text.id}-desc`);
  svg.setAttribute("class", "plot");
  return new Markup(svg.outerHTML);
}

export interface Facets {
  /** From top to bottom. */
  readonly names: readonly string[];
  /** The height of one facet, in pixels. */
  readonly height: number;
  /** The picture's width in pixels. Default: {@linkcode PANEL_WIDTH}. */
  readonly width?: number;
  /** The right margin, in pixels. */
  readonly marginRight: number;
  /** The horizontal scale; `drawFacets` sets its grid and the place of its label. */
  readonly x: Plot.ScaleOptions;
  readonly y: Plot.ScaleOptions;
  readonly marks: readonly Plot.Markish[];
}

/** Draws facets below each other, each under its name, with one horizontal axis at the bottom. */
export function drawFacets(options: PictureOptions, facets: Facets): Markup {
  const { names, height, width = PANEL_WIDTH, marginRight, x, y, marks } = facets;
  return drawPicture(options, {
    width,
    height: names.length * (height + FACET_GAP) + MARGIN_BOTTOM,
    marginLeft: 18,
    marginRight,
    marginTop: FACET_GAP,
    marginBottom: MARGIN_BOTTOM,
    x: { ...x, grid: true, labelAnchor: "left", labelOffset: MARGIN_BOTTOM - 6 },
    y,
    fy: facetScale(names, height),
    marks: [
      Plot.text(names, {
        fy: (name: string) => name,
        text: (name: string) => name,
        frameAnchor: "top-left",
        dy: -FACET_GAP + 6,
        dx: -8,
        fontWeight: "600",
      }),
      ...marks,
    ],
  });
}

/**
 * A vertical facet scale with room for a name above each facet.
 *
 * @param height one facet's height, in pixels
 */
export function facetScale(names: readonly string[], height: number): Plot.ScaleOptions {
  return {
    axis: null,
    domain: [...names],
    paddingInner: names.length === 1 ? 0 : FACET_GAP / (height + FACET_GAP),
    paddingOuter: 0,
  };
}
