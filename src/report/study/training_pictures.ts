/** The study's pictures of changes during training. */
import {
  bloat,
  type Figure,
  gradientSinkRatio,
  lastMoment,
  onset,
  oracleGap,
  residualNorm,
  residualRatio,
  sinkGradient,
  sinkInputRatio,
  sinkStrength,
  validationLoss,
  valueNormRatio,
} from "../../experiments/study/figures.ts";
import { runsOf, type StudyGroup } from "../../experiments/study/merge.ts";
import { SHOWN_SHARES } from "../../experiments/study/record_build.ts";
import type { StudyVariant } from "../../experiments/study/arms.ts";
import type { SvgDocument } from "../plot.ts";
import { pathGradientPlot, type PathGradientRow } from "../sinks/plots.ts";
import { curvePlot, type CurvePlotOptions } from "./curve_plot.ts";
import { onsetPlot } from "./onset_plot.ts";
import { nameOf, SEE_TABLE, seriesNames, type Sized, type StudyPicture } from "./picture.ts";
import { strengthPlot } from "./strength_plot.ts";
import { ONSETS, VARIANT_NAMES } from "./tables.ts";

interface Curve {
  readonly id: string;
  readonly title: string;
  readonly figure: Figure;
  /** Default: logarithmic. */
  readonly scale?: NonNullable<CurvePlotOptions["scale"]>;
  readonly label: string;
  readonly reference?: number;
}

const curves: readonly Curve[] = [
  {
    id: "sink",
    title: "Sink strength",
    figure: sinkStrength,
    scale: "share",
    label: "attention to token 0, idle queries",
  },
  {
    id: "gradient-ratio",
    title: "Gradient-sink ratio",
    figure: gradientSinkRatio,
    label: "R_GS(0), median over layers",
    reference: 1,
  },
  {
    id: "gradient",
    title: "Gradient at the sink",
    figure: sinkGradient,
    label: "‖∇h̃‖ of token 0, sink layer",
  },
  {
    id: "drain",
    title: "Value-state drain",
    figure: valueNormRatio,
    label: "‖v‖ of token 0 ÷ early tokens",
    reference: 1,
  },
  {
    id: "bloat",
    title: "Bloat at the sink",
    figure: bloat,
    label: "Bloat of token 0, sink layer",
    reference: 1,
  },
  {
    id: "input-ratio",
    title: "In front of the sink",
    figure: sinkInputRatio,
    label: "‖h_in‖ of token 0 ÷ early, sink layer",
    reference: 1,
  },
  {
    id: "residual",
    title: "Residual norm",
    figure: residualNorm,
    label: "‖h‖ of token 0, largest layer",
  },
  {
    id: "residual-ratio",
    title: "Residual norm against early tokens",
    figure: residualRatio,
    label: "‖h‖ of token 0 ÷ early, largest",
    reference: 1,
  },
];

/** The loss comes first. */
export function curvePictures(group: StudyGroup, document: SvgDocument): StudyPicture[] {
  const known = group.records.some((record) => record.trajectory.at(-1)?.oracleLoss != null);
  const loss: Curve = known
    ? {
      id: "loss",
      title: "Loss above the oracle's",
      figure: oracleGap,
      label: "validation loss − oracle, nats",
    }
    : {
      id: "loss",
      title: "Loss",
      figure: validationLoss,
      scale: "linear",
      label: "validation loss, nats per token",
    };
  return [loss, ...curves].flatMap((curve) => {
    const { id, title, figure, scale = "logarithmic", label, reference } = curve;
    const rows = group.records.flatMap((record) =>
      record.trajectory.flatMap((point) => {
        const value = figure({ record, point });
        return value === undefined ? [] : [{ series: nameOf(record), step: point.step, value }];
      })
    );
    const text = {
      id: `${group.setting}-${id}`,
      title: `${title} through training, ${group.setting}: ${label}`,
      description: `Lines are medians over seeds, bands their range. ${SEE_TABLE}`,
    };
    const series = seriesNames(group);
    const picture = curvePlot(rows, {
      document,
      text,
      series,
      label,
      scale,
      ...reference === undefined ? {} : { reference },
    });
    return picture === undefined ? [] : [{ id: text.id, title, picture }];
  });
}

/** The figures to draw against sink strength. */
const COMPARED = ["gradient-ratio", "bloat", "residual", "residual-ratio", "drain"];

/** Draws figures against sink strength, to compare variants at equal strength. */
export function strengthPictures(group: StudyGroup, document: SvgDocument): StudyPicture[] {
  return curves.filter(({ id }) => COMPARED.includes(id)).flatMap(
    ({ id, title, figure, label }) => {
      const rows = group.records.flatMap((record) =>
        record.trajectory.flatMap((point) => {
          const [strength, value] = [sinkStrength({ record, point }), figure({ record, point })];
          if (strength === undefined || value === undefined) return [];
          return [{ series: nameOf(record), strength, value, last: point.step === record.steps }];
        })
      );
      const text = {
        id: `${group.setting}-strength-${id}`,
        title: `${title} over sink strength, ${group.setting}: ${label}`,
        description:
          "Each sign is one measured step of a run; large signs are last steps. The table of " +
          "evidence compares runs at the first step that reaches a strength.",
      };
      const picture = strengthPlot(rows, { document, text, series: seriesNames(group), label });
      return picture === undefined ? [] : [{ id: text.id, title, picture }];
    },
  );
}

/** Draws one variant's path gradients over positions, at moments of training. */
export function pathPicture(
  group: StudyGroup,
  variant: StudyVariant,
  sized: Sized,
): StudyPicture | undefined {
  const rows: PathGradientRow[] = [];
  const panels: string[] = [];
  for (const share of SHOWN_SHARES) {
    for (const record of runsOf(group, variant)) {
      const wanted = share * record.steps;
      const point = record.trajectory.toSorted((a, b) =>
        Math.abs(a.step - wanted) - Math.abs(b.step - wanted)
      )[0];
      if (point === undefined || point.paths === null) {
        continue;
      }
      const panel = `step ${point.step}`;
      if (!panels.includes(panel)) {
        panels.push(panel);
      }
      for (const path of ["value", "key", "query"] as const) {
        point.paths[path].forEach((value, i) =>
          rows.push({ panel, path, position: record.positions[i]!, value })
        );
      }
    }
  }
  const text = {
    id: `${group.setting}-path-${variant}${sized.suffix}`,
    title: `Path gradients over positions through training, ${group.setting}, ${
      VARIANT_NAMES[variant]
    }`,
    description:
      "Norms of the gradients with respect to values, keys and queries: geometric means over " +
      "seeds, means over layers. The ratio at token 0 is in the table of figures.",
  };
  const picture = pathGradientPlot(rows, {
    document: sized.document,
    width: sized.width,
    text,
    series: panels,
  });
  return picture && { id: text.id, title: VARIANT_NAMES[variant], picture };
}

/** Draws when the onsets occur. */
export function onsetPicture(group: StudyGroup, sized: Sized): StudyPicture | undefined {
  const rows = group.records.flatMap((record) =>
    ONSETS.map(({ name, figure, level }) => ({
      series: nameOf(record),
      onset: name,
      step: onset(record, figure, level),
    }))
  );
  const steps = Math.max(...group.records.map((record) => lastMoment(record)?.point.step ?? 0));
  const text = {
    id: `${group.setting}-onset${sized.suffix}`,
    title: `Onsets, ${group.setting}: first measured steps, a sign for each seed, bars for medians`,
    description: "The same steps are in the table of onsets.",
  };
  const picture = onsetPlot(rows, {
    document: sized.document,
    width: sized.width,
    text,
    series: seriesNames(group),
    steps,
  });
  return picture && { id: text.id, title: "Onsets", picture };
}
