/**
 * The theory's three pictures: attention, gradients at the values, gradients at the hidden states.
 */
import * as Plot from "@observablehq/plot";
import { html, type Markup } from "../../../../src/report/html.ts";
import { drawPicture } from "../../../../src/report/draw.ts";
import { MARGIN_BOTTOM, PANEL_WIDTH } from "../../../../src/report/plot.ts";
import { svgDocument } from "../run_view.ts";
import type { TheoryOutput } from "./model.ts";

interface Stem {
  readonly token: number;
  readonly value: number;
}

function stems(values: readonly number[]): Stem[] {
  return values.map((value, token) => ({ token, value }));
}

/** The fixed range of logarithmic axes, so that only the data move as a slider is dragged. */
const DECADES: readonly [number, number] = [1e-4, 200];

interface Panel {
  readonly id: string;
  readonly title: string;
  readonly label: string;
  readonly solid: readonly number[];
  /** Values to draw as hollow circles over the bars. */
  readonly hollow?: readonly number[];
  readonly type: "linear" | "log";
  readonly domain: readonly [number, number];
}

function picture({ id, title, label, solid, hollow, type, domain }: Panel): Markup {
  const foot = domain[0];
  const inside = (values: readonly number[]): Stem[] =>
    stems(values.map((value) => Math.min(domain[1], Math.max(foot, value))));
  const color = ({ token }: Stem): string => token === 0 ? "var(--m1)" : "var(--m0)";
  const description = `Token 0, the sink, stands on the left: ${
    solid[0]!.toPrecision(3)
  }; the next is ${solid[1]!.toPrecision(3)}. The figures are beside the pictures.`;
  return drawPicture({ document: svgDocument, text: { id, title, description } }, {
    width: PANEL_WIDTH,
    height: 230,
    marginLeft: 46,
    marginRight: 12,
    marginTop: 24,
    marginBottom: MARGIN_BOTTOM,
    x: {
      type: "point",
      domain: solid.map((_, token) => token),
      label: "token",
      labelAnchor: "center",
    },
    y: {
      type,
      domain: [...domain],
      label,
      grid: true,
      ticks: 5,
      tickFormat: type === "log" ? "~g" : "d",
    },
    marks: [
      Plot.ruleX(inside(solid), {
        x: "token",
        y1: foot,
        y2: "value",
        stroke: color,
        strokeWidth: 7,
        strokeLinecap: "butt",
      }),
      ...hollow === undefined ? [] : [
        Plot.dot(inside(hollow), {
          x: "token",
          y: "value",
          r: 5,
          stroke: color,
          strokeWidth: 2,
          fill: "var(--surface)",
        }),
      ],
      Plot.ruleY([foot], { stroke: "var(--ink)", strokeOpacity: 0.6 }),
    ],
  });
}

export function theoryPictures(output: TheoryOutput): Markup {
  const { mass, arriving, passing, hidden } = output;
  const panels: Panel[] = [
    {
      id: "theory-mass",
      title: "Attention that each token takes",
      label: "↑ M, rows of attention",
      solid: mass,
      type: "linear",
      domain: [0, 64],
    },
    {
      id: "theory-value",
      title: "Gradient at the values, before it passes the valve (rings) and after",
      label: "↑ ‖∂L/∂v‖",
      solid: passing,
      hollow: arriving,
      type: "log",
      domain: DECADES,
    },
    {
      id: "theory-hidden",
      title: "Gradient at the hidden states, after it passes RMSNorm",
      label: "↑ ‖∂L/∂h‖",
      solid: hidden,
      type: "log",
      domain: DECADES,
    },
  ];
  return html`${
    panels.map((panel) =>
      html`
        <div>
          <h3>${panel.title}</h3>
          <figure>${picture(panel)}</figure>
        </div>
      `
    )
  }`;
}
