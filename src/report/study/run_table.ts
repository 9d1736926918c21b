/** The table of a study's runs. */
import { runsOf, type StudyGroup } from "../../experiments/study/merge.ts";
import { estimate, figure } from "../sinks/figure.ts";
import type { Table } from "../table.ts";
import { VARIANT_NAMES } from "./tables.ts";

const number = (title: string) => ({ title, align: "right" as const });

/**
 * A table with a row per run: its trained model's figures, with 95 % intervals over sequences. Runs
 * whose record has no intervals, as in older studies, are left out. Undefined if no run is left.
 */
export function runTable(group: StudyGroup): Table | undefined {
  const rows = group.variants.flatMap((variant) =>
    runsOf(group, variant).flatMap(({ arm, final }) => {
      if (final?.intervals === undefined || final.intervals === null) return [];
      const { summary, intervals: { summary: spread } } = final;
      return [[
        VARIANT_NAMES[variant],
        String(arm.seed),
        figure(final.data?.sequences),
        estimate(summary.gradientSink?.median, spread.gradientSink),
        estimate(summary.largestScore, spread.largestScore),
        estimate(summary.largestIdleScore, spread.largestIdleScore),
        estimate(summary.paths?.value.ratio, spread.valuePath, "×"),
        estimate(final.loss, spread.loss),
      ]];
    })
  );
  if (rows.length === 0) return undefined;
  return {
    caption:
      "Each run alone. In parentheses: 95 % bootstrap intervals, which show how much the figures " +
      "would vary with as many other validation sequences. Seeds differ by more.",
    columns: [
      { title: "arm" },
      number("seed"),
      number("sequences"),
      number("R_GS(0), median over layers"),
      number("strongest score"),
      number("of idle queries"),
      number("‖∇v_0‖ against early tokens"),
      number("loss, nats"),
    ],
    rows,
  };
}
