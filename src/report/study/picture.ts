/** Shared parts of the study's pictures. */
import type { StudyGroup } from "../../experiments/study/merge.ts";
import type { StudyRecord } from "../../experiments/study/record.ts";
import { html, type Markup } from "../html.ts";
import type { SvgDocument } from "../plot.ts";
import { VARIANT_NAMES } from "./tables.ts";

/** A picture with its id and texts. */
export interface StudyPicture {
  /** Letters, digits and dashes; unique per page. */
  readonly id: string;
  readonly title: string;
  readonly picture: Markup;
}

/** The series of most pictures. */
export function seriesNames({ variants }: StudyGroup): string[] {
  return variants.map((variant) => VARIANT_NAMES[variant]);
}

/** A run's series: its variant. */
export function nameOf({ arm }: StudyRecord): string {
  return VARIANT_NAMES[arm.variant];
}

/** Where a picture's figures are. */
export const SEE_TABLE =
  "Medians and intervals at the end of training are in the table of figures.";

export interface Sized {
  readonly document: SvgDocument;
  readonly width: number;
  /** Distinguishes a picture's two widths. */
  readonly suffix: string;
}

/**
 * Draws a picture twice, in the width of a screen and in that of a phone; the page's style shows
 * one of the two. Undefined if there is nothing to draw.
 */
export function twice(
  document: SvgDocument,
  draw: (sized: { document: SvgDocument; width: number; suffix: string }) =>
    | StudyPicture
    | undefined,
): Markup | undefined {
  const wide = draw({ document, width: 1120, suffix: "-wide" });
  const narrow = draw({ document, width: 420, suffix: "-narrow" });
  if (wide === undefined || narrow === undefined) return undefined;
  return html`
    <figure class="wide">${wide.picture}</figure>
    <figure class="narrow">${narrow.picture}</figure>
  `;
}
