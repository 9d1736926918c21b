/**
 * The measurements of one model as an HTML page: pictures, and tables with the same figures. It has
 * no scripts or requests, and is readable in light and dark and on a phone.
 */
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import type { AttentionMap } from "../../sinks/states/measurement.ts";
import { html, htmlTable, type Markup } from "../html.ts";
import { type PageSection, renderPage } from "../page.ts";
import type { SvgDocument } from "../plot.ts";
import {
  branchPlot,
  branchRows,
  compressFitRows,
  gradientNormRows,
  gradientViolinPlot,
  layerNormPlot,
  layerNormRows,
  type LayerQuantity,
  pathGradientPlot,
  pathGradientRows,
  slackPlot,
  slackPlotRows,
} from "./plots.ts";
import {
  attentionCells,
  channelCells,
  largestCells,
  normCells,
  scoreCells,
  sinkRateCells,
} from "./heat_cells.ts";
import { type HeatCell, heatMap, type HeatMapOptions } from "./heat_map.ts";
import { interventionTable, largestTable, layerTable } from "./pretrained_tables.ts";
import {
  branchTable,
  gradientTable,
  headTable,
  normTable,
  quantizationTable,
  theoryTable,
  valueTable,
} from "./tables.ts";
import { sinkSummary } from "./text.ts";
import type { Table } from "../table.ts";

interface Section {
  readonly id: string;
  readonly title: string;
  /** How to read the section. */
  readonly lead: string;
  readonly pictures: readonly (Markup | undefined)[];
  readonly tables: readonly (Table | undefined)[];
}

/** A picture's width in pixels: a large screen shows two pictures side by side. */
const WIDTH = 560;

/** Tables with more rows than this are folded up. */
const LONG_TABLE = 64;

function headId({ layer, head, why }: AttentionMap): string {
  return `${layer}-${head}-${why.replaceAll(" ", "-")}`;
}

/** Says how many of the first tokens a picture shows; undefined if it shows all tokens. */
function firstOf(shown: number, { data: { context } }: SinkMeasurement): string | undefined {
  return shown < context ? `first ${shown} of ${context} tokens` : undefined;
}

function headTitle({ layer, head, why }: AttentionMap): string {
  return `Layer ${layer}, head ${head}: ${why}`;
}

function sectionsOf(measurement: SinkMeasurement, document: SvgDocument): Section[] {
  const series = measurement.source?.run ?? "model";
  const { position, lastGradientPosition } = measurement.settings;
  const text = (id: string, title: string) => ({
    document,
    width: WIDTH,
    series: [series],
    text: { id, title, description: "The figures are in the table below." },
  });
  const layers = layerNormRows(measurement, series);
  const { pretrained, states = pretrained } = measurement;
  // The violins do not tell layers apart, so a larger model also gets R_GS layer by layer.
  const manyHeads = measurement.config.layers * measurement.config.queryHeads > 32;
  const headMap = measurement.config.queryHeads > 1 && measurement.config.layers > 1;
  const map = (
    id: string,
    title: string,
    cells: readonly HeatCell[],
    options: Omit<HeatMapOptions, "document" | "width" | "text">,
  ) => heatMap(cells, { document, width: WIDTH, text: text(id, title).text, ...options });
  const { modelDim } = measurement.config;
  const channels = states?.channels?.dimensions.length ?? 0;
  const dense = measurement.positions.filter((position, i) => position === i).length;
  const byLayer = (quantity: LayerQuantity, title: string) =>
    layerNormPlot(layers, {
      ...text(`layer-${quantity.replace(" ", "-")}`, title),
      quantity,
      position,
    });
  return [
    {
      id: "attention",
      title: "Attention sinks",
      lead: `How much every head attends to token ${position}.`,
      pictures: [
        byLayer("sink score", "Largest sink score by layer"),
        byLayer("idle score", "Largest idle score by layer"),
        headMap
          ? map("scores", `Attention to token ${position} of every head`, scoreCells(measurement), {
            x: "layer",
            y: "head",
            value: "sink score",
            scale: "share",
          })
          : undefined,
        ...states === undefined ? [] : [
          states.sinkPositions.length < 2
            ? undefined
            : map("sink-positions", "Where heads sink", sinkRateCells(states), {
              x: "position",
              y: "layer",
              value: "share of heads",
              scale: "share",
              cell: 12,
              note: firstOf(states.sinkPositions.length, measurement),
            }),
          ...states.maps.map((each) =>
            map(`attention-${headId(each)}`, headTitle(each), attentionCells(each), {
              x: "key",
              y: "query",
              value: "attention",
              scale: "share",
              cell: 8,
              note: firstOf(each.size, measurement),
            })
          ),
          ...(states.firstText?.maps ?? []).map((each) =>
            map(
              `text-${headId(each)}`,
              `${headTitle(each)}, in the first text`,
              attentionCells(each),
              {
                x: "key",
                y: "query",
                value: "attention",
                scale: "share",
                note: firstOf(each.size, measurement),
                labels: { x: states.firstText!.tokens, y: states.firstText!.tokens },
              },
            )
          ),
        ],
      ],
      tables: [
        ...pretrained === undefined ? [] : [layerTable(measurement, pretrained)],
        headTable(measurement),
      ],
    },
    {
      id: "gradients",
      title: "Gradient sinks",
      lead:
        `How much of the loss's gradient gathers at token ${position}. R_GS compares gradients at the ` +
        `normalized states that feed attention: the norm at token ${position}, divided by the mean ` +
        "norm at the other tokens.",
      pictures: [
        gradientViolinPlot(gradientNormRows(measurement, series), {
          ...text("violin", "‖∇h̃‖ of the sink and of the other tokens, all layers"),
          ratios: [{ series, ratio: measurement.summary.gradientSink }],
          position,
          lastPosition: lastGradientPosition,
        }),
        pathGradientPlot(
          pathGradientRows(measurement, series),
          text("paths", "Gradients with respect to values, keys and queries, by position"),
        ),
        manyHeads ? byLayer("gradient sink", "Gradient sinks by layer") : undefined,
      ],
      tables: [gradientTable(measurement)],
    },
    {
      id: "branches",
      title: "Residual branches",
      lead:
        "Token by token: how much a gradient grows inside a branch (Bloat), how much of it the RMSNorm " +
        "passes on (Compress), and how much the branch changes the residual stream's own gradient " +
        "(Change).",
      pictures: branchPlot(branchRows(measurement, series), {
        ...text("branch", "Single tokens"),
        fits: compressFitRows(measurement, series),
        position,
      }),
      tables: [branchTable(measurement)],
    },
    {
      id: "norms",
      title: "Activations and values",
      lead: "Massive activations, and values that drain at the sink.",
      pictures: [
        byLayer("output", "Residual norm by layer"),
        byLayer("value", "Value norm by layer"),
        ...states === undefined ? [] : [
          map("norms", "‖h‖ after every layer, by token", normCells(measurement), {
            x: "position",
            y: "layer",
            value: "‖h‖",
            scale: "log",
            cell: 12,
            note: firstOf(dense, measurement),
          }),
          map("largest", "The largest |h| of every token", largestCells(measurement, states), {
            x: "position",
            y: "layer",
            value: "largest |h|",
            scale: "log",
            cell: 12,
            note: firstOf(dense, measurement),
          }),
          map("channels", "The largest |h| of the largest channels", channelCells(states), {
            x: "dimension",
            y: "layer",
            value: "largest |h|",
            scale: "log",
            cell: 12,
            note: channels < modelDim ? `${channels} of ${modelDim} channels` : undefined,
            labels: { x: (states.channels?.dimensions ?? []).map(String) },
          }),
        ],
      ],
      tables: [
        ...states === undefined ? [] : [largestTable(states)],
        ...pretrained === undefined ? [] : [interventionTable(pretrained)],
        normTable(measurement),
        valueTable(measurement),
        quantizationTable(measurement),
      ],
    },
    {
      id: "theory",
      title: "Theory",
      lead:
        "How exactly the identities hold on a real batch, and how far the bounds lie above the actual values.",
      pictures: [
        slackPlot(slackPlotRows(measurement, series), text("slack", "Slack of the bounds")),
      ],
      tables: [theoryTable(measurement)],
    },
  ];
}

/** Puts a table on a card. A long table, such as that of all heads, is folded up. */
function tableCard(table: Table, id: string): Markup {
  const shown = htmlTable(table, { id });
  return table.rows.length <= LONG_TABLE ? html`<div class="card table">${shown}</div>` : html`
    <details class="card table">
      <summary>${table.caption ?? "Table"}: ${table.rows.length} rows</summary>
      ${shown}
    </details>
  `;
}

/** The section with the pictures and tables that have content; undefined if none has. */
function shown({ id, title, lead, pictures, tables }: Section): PageSection | undefined {
  const drawn = pictures.filter((picture) => picture !== undefined);
  const filled = tables.filter((table) => table !== undefined && table.rows.length > 0);
  if (drawn.length === 0 && filled.length === 0) return undefined;
  return {
    id,
    title,
    body: html`
      <p class="soft">${lead}</p>
      <div class="pictures">${drawn.map((picture) =>
        html`<figure class="card">${picture}</figure>`
      )}</div>
      ${filled.map((table, i) => tableCard(table!, `${id}-${i}`))}
    `,
  };
}

/**
 * Renders a measurement as a self-contained HTML page.
 *
 * @param document a browser's document, or one from `svg_document.ts`
 */
export function renderSinkPage(measurement: SinkMeasurement, document: SvgDocument): string {
  const [first = "A model", ...summary] = sinkSummary(measurement);
  return renderPage({
    title: `Sinks of ${first}`,
    heading: first,
    summary: html`${summary.map((line) => html`<p>${line}</p>`)}`,
    notes: { title: "The theory is violated", lines: measurement.theory?.errors ?? [] },
    sections: sectionsOf(measurement, document).map(shown).filter((section) =>
      section !== undefined
    ),
  });
}
