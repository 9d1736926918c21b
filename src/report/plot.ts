/** What all pictures share: the machines' colors and signs (shapes), texts, and lengths. */
import type { Comparison } from "../measure/comparison.ts";
import type { ComparisonRow } from "../measure/comparison/rows.ts";
import { escapeTerminal, truncate } from "../escape.ts";
import { html, type Markup } from "./html.ts";

/** The part of a browser's `document` that drawing uses. */
export interface SvgDocument {
  createElementNS(namespace: string, name: string): SvgElement;
}

/** For the last steps of drawing. */
export interface SvgElement {
  readonly tagName: string;
  readonly children: Iterable<SvgElement>;
  readonly outerHTML: string;
  readonly firstChild: unknown;
  textContent: string | null;
  getAttribute(name: string): string | null;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  insertBefore(child: SvgElement, before: unknown): void;
  remove(): void;
}

/** The number of colors for machines. With more machines, the colors repeat. */
export const COLORS = 8;

/** Plot's names of the machines' signs, which tell machines apart without color. */
export const SIGNS = [
  "circle",
  "square",
  "triangle",
  "diamond",
  "cross",
  "star",
  "wye",
  "hexagon",
] as const;

/** {@linkcode SIGNS} in the same order, as SVG paths centered on the origin, for legends. */
const signPaths: readonly string[] = [
  "M5,0A5,5,0,1,1,-5,0A5,5,0,1,1,5,0Z",
  "M-4.4,-4.4H4.4V4.4H-4.4Z",
  "M0,-5.6L4.9,3.4H-4.9Z",
  "M0,-6.2L3.6,0L0,6.2L-3.6,0Z",
  "M-5.4,-1.8H-1.8V-5.4H1.8V-1.8H5.4V1.8H1.8V5.4H-1.8V1.8H-5.4Z",
  "M0,-6L1.4,-1.9L5.7,-1.9L2.2,.7L3.5,4.9L0,2.3L-3.5,4.9L-2.2,.7L-5.7,-1.9L-1.4,-1.9Z",
  "M1.7,1V4.8H-1.7V1L-5,-.9L-3.3,-3.9L0,-2L3.3,-3.9L5,-.9Z",
  "M0,-5.6L4.9,-2.8V2.8L0,5.6L-4.9,2.8V-2.8Z",
];

/** A machine's color, as a CSS variable that the page defines for light and dark. */
export function machineColor(index: number): string {
  return `var(--m${index % COLORS})`;
}

/** A machine's sign. */
export function machineSign(index: number): typeof SIGNS[number] {
  return SIGNS[index % SIGNS.length]!;
}

/** The dash pattern of a machine's lines, which tells crossing lines apart without color. */
export function machineDashes(index: number): string {
  return ["none", "5 2", "2 2", "8 2 2 2", "1 2", "10 3", "4 1 1 1", "3 4"][index % 8]!;
}

/** A machine's sign in its color, to go next to its name. */
export function signIcon(index: number): Markup {
  return html`
    <svg class="sign" viewBox="-7 -7 14 14" aria-hidden="true">
      <path fill="${machineColor(index)}" d="${signPaths[index % signPaths.length]!}" />
    </svg>
  `;
}

/** Every machine's sign and name. */
export function legend(comparison: Comparison): Markup {
  return html`
    <ul class="legend">${comparison.machines.map(({ name }, i) =>
      html`<li>${signIcon(i)}${name}</li>`
    )}</ul>
  `;
}

/** For screen readers. */
export interface PictureText {
  /** Letters, digits and dashes; unique per page. */
  readonly id: string;
  readonly title: string;
  /** Describes the picture, and says which table has its figures. */
  readonly description: string;
}

/** Text for a picture: control characters become visible, and a long text is cut. */
export function plotText(text: string, length = 60): string {
  return truncate(escapeTerminal(text), length);
}

/** The width of one of many small pictures, in pixels. On a phone, such a picture is not shrunk. */
export const PANEL_WIDTH = 360;

/** The space above each facet (one panel of a picture) for the facet's name, in pixels. */
export const FACET_GAP = 24;

/** The margin below a picture's frame for the x axis and its label, in pixels. */
export const MARGIN_BOTTOM = 46;

/** The rows of one operator and pass. */
export interface OperatorGroup {
  readonly kernel: string;
  readonly pass: string;
  readonly rows: readonly ComparisonRow[];
}

/** In the rows' order. */
export function operatorGroups(comparison: Comparison): OperatorGroup[] {
  const groups = new Map<string, { kernel: string; pass: string; rows: ComparisonRow[] }>();
  for (const row of comparison.rows) {
    const key = JSON.stringify([row.kernel, row.pass]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { kernel: row.kernel, pass: row.pass, rows: [row] });
    else group.rows.push(row);
  }
  return [...groups.values()];
}
