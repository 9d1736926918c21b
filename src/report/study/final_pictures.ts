/** The study's pictures of the trained models. */
import type { StudyGroup } from "../../experiments/study/merge.ts";
import type { StudyRecord } from "../../experiments/study/record.ts";
import { quartilesOf } from "../../sinks/numbers.ts";
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
  slackPlot,
  slackPlotRows,
} from "../sinks/plots.ts";
import { nameOf, SEE_TABLE, seriesNames, type Sized, type StudyPicture } from "./picture.ts";
import { VARIANT_NAMES } from "./tables.ts";

/** Runs with their last measurement. */
function finals(
  group: StudyGroup,
): { record: StudyRecord; final: NonNullable<StudyRecord["final"]> }[] {
  return group.records.flatMap((record) =>
    record.final === null ? [] : [{ record, final: record.final }]
  );
}

/** Over all seeds and layers. */
export function violinPicture(group: StudyGroup, sized: Sized): StudyPicture | undefined {
  const runs = finals(group);
  const rows = runs.flatMap(({ record, final }) => gradientNormRows(final, nameOf(record)));
  const ratios = group.variants.map((variant) => ({
    series: VARIANT_NAMES[variant],
    ratio: quartilesOf(
      runs.filter(({ record }) => record.arm.variant === variant).flatMap(({ final }) =>
        final.layers.flatMap(({ attention }) => attention?.gradientSink.ratio ?? [])
      ),
    ),
  }));
  const text = {
    id: `${group.setting}-violin${sized.suffix}`,
    title: `‖∇h̃‖ of token 0 and of others, ${group.setting}, all layers and seeds, with R_GS`,
    description:
      "R_GS is the norm at token 0 divided by the mean norm at the other tokens. The picture " +
      `shows its median and quartiles over layers and seeds. ${SEE_TABLE}`,
  };
  const picture = gradientViolinPlot(rows, {
    document: sized.document,
    width: sized.width,
    text,
    series: seriesNames(group),
    ratios,
  });
  return picture && { id: text.id, title: "Gradient norms per token", picture };
}

/** Draws Bloat, Compress and Change against ‖h‖, with Compress's fitted lines. */
export function branchPictures(group: StudyGroup, sized: Sized): StudyPicture[] {
  // Show only the first seed's tokens: those of several seeds would hide each other.
  const shown = finals(group).filter(({ record: { arm } }) => arm.seed === group.seeds[0]);
  const rows = shown.flatMap(({ record, final }) => branchRows(final, nameOf(record)));
  const fits = shown.flatMap(({ record, final }) => compressFitRows(final, nameOf(record)));
  return branchPlot(rows, {
    document: sized.document,
    width: sized.width,
    text: {
      id: `${group.setting}-branch${sized.suffix}`,
      title: `Single tokens over ‖h‖, ${group.setting}, seed ${group.seeds[0]}`,
      description: "Each sign is a token of one sequence in one layer; large ones are token 0. " +
        "Slopes over all seeds are in the table of figures.",
    },
    series: seriesNames(group),
    fits,
  }).map((picture, i) => ({
    id: `${group.setting}-branch${sized.suffix}-${i}`,
    title: ["Bloat", "Compress", "Change"][i] ?? "",
    picture,
  }));
}

const quantities: readonly [LayerQuantity, string][] = [
  ["sink score", "Sink score by layer"],
  ["idle score", "Idle score by layer"],
  ["gradient sink", "R_GS by layer"],
  ["output", "Residual norm by layer"],
  ["mlp residual", "MLP output norm by layer"],
  ["value", "Value norm by layer"],
];

/**
 * Draws token 0's sink score, R_GS and norms by layer, and for comparison the norms of early
 * tokens.
 */
export function layerPictures(group: StudyGroup, document: SvgDocument): StudyPicture[] {
  const rows = finals(group).flatMap(({ record, final }) => layerNormRows(final, nameOf(record)));
  return quantities.flatMap(([quantity, title]) => {
    const text = {
      id: `${group.setting}-layer-${quantity.replace(" ", "-")}`,
      title: `${title}, ${group.setting}, after training`,
      description: `Medians over seeds with their range. ${SEE_TABLE}`,
    };
    const picture = layerNormPlot(rows, {
      document,
      width: 380,
      text,
      series: seriesNames(group),
      quantity,
    });
    return picture === undefined ? [] : [{ id: text.id, title, picture }];
  });
}

export function slackPicture(group: StudyGroup, sized: Sized): StudyPicture | undefined {
  const rows = finals(group).flatMap(({ record, final }) => slackPlotRows(final, nameOf(record)));
  const text = {
    id: `${group.setting}-slack${sized.suffix}`,
    title: `Slack of the bounds on real batches, ${group.setting}`,
    description:
      "Thin lines run from the 5 % to the 95 % quantile, thick ones between the quartiles; " +
      "rings are medians at token 0. Violations are counted in the table of claims.",
  };
  const picture = slackPlot(rows, {
    document: sized.document,
    width: sized.width,
    text,
    series: seriesNames(group),
  });
  return picture && { id: text.id, title: "Slack of the bounds", picture };
}
