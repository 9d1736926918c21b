/** What the study's pictures have in common. */
import type { StudyGroup } from "../../experiments/study/merge.ts";
import type { StudyRecord } from "../../experiments/study/record.ts";
import { html, type Markup } from "../html.ts";
import type { SvgDocument } from "../plot.ts";
import { VARIANT_NAMES } from "./tables.ts";

/** A picture with its place. */
export interface StudyPicture {
  /** Letters, digits and dashes; unique on the page. */
  readonly id: string;
  readonly title: string;
  readonly picture: Markup;
}

/** The variants' names, in their order: the series of every picture. */
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

/** The width of a picture beside or above nothing else. */
export interface Sized {
  readonly document: SvgDocument;
  readonly width: number;
  /** Makes identifiers differ where a picture is drawn in two widths. */
  readonly suffix: string;
}

/**
 * A picture in the width of a screen and of a phone; a page's style shows one of them.
 *
 * @param document to draw with
 * @param draw draws it in a width
 * @returns undefined if there is nothing to draw
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
