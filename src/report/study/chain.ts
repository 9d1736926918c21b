/** The chain from sink to massive activation, as tables, words and a picture. */
import type { StudyVariant } from "../../experiments/study/arms.ts";
import {
  type Chain,
  CHAIN_LINKS,
  type ChainCell,
  type ChainLink,
  type ChainMoment,
  chainOf,
  summarizeChain,
} from "../../experiments/study/chain.ts";
import type { StudyGroup } from "../../experiments/study/merge.ts";
import { NO_DATA } from "../format.ts";
import { type Cell, numberColumns, type Table, textColumns, type Tone } from "../table.ts";
import { chainPlot, type ChainRow } from "./chain_plot.ts";
import { SEE_TABLE, type Sized, type StudyPicture } from "./picture.ts";
import { formatFigure, formatSummary, VARIANT_NAMES } from "./tables.ts";

/** The text of an empty list. */
const NONE = "–";

export interface SettingChain extends Chain {
  readonly setting: string;
}

/** The chains of all settings that have a baseline and another arm. */
export function chainsOf(groups: readonly StudyGroup[]): SettingChain[] {
  return groups.map((group) => ({ setting: group.setting, ...chainOf(group) }))
    .filter(({ cells }) => cells.length > 0);
}

function variantsOf({ cells }: Chain): StudyVariant[] {
  return [...new Set(cells.map(({ variant }) => variant))];
}

/** The word for a cell's verdict. Outcomes are "lower" or "higher", not "weaker" or "stronger". */
function verdictWord({ verdict, link }: ChainCell): string {
  if (link.kind === "link") return verdict;
  return { broken: "lower", weaker: "lower", stronger: "higher" }[verdict as string] ?? verdict;
}

const TONES: Readonly<Record<NonNullable<ChainCell["expected"]>, Tone>> = {
  "as expected": "good",
  "not reproduced": "unsure",
  "against the theory": "bad",
};

function effectCell(cell: ChainCell | undefined, seeds: number): Cell {
  if (cell?.effect.median === undefined) {
    // "never" means that the arms never reach a common sink strength; the caption explains it.
    return cell?.moment === "equal sink" ? "never" : cell?.remark ?? NO_DATA;
  }
  const { effect, link, expected } = cell;
  const form = link.compared === "quotient" ? "ratio" : link.unit;
  const size = formatSummary(effect, form);
  const above = link.compared === "difference" && effect.median! > 0;
  const sign = above && !/^0(\.0*)?( |$)/.test(size) ? "+" : "";
  const judged = cell.verdict === "too few seeds" ? "" : ` ${verdictWord(cell)}`;
  const aside = expected === undefined || expected === "as expected" ? "" : `, ${expected}`;
  const some = effect.count < seeds ? `, ${effect.count} of ${seeds} seeds` : "";
  const text = `${sign}${size}${judged}${aside}${some}`;
  return expected === undefined ? text : { text, tone: TONES[expected] };
}

function seedsOf({ seeds }: Chain): string {
  return seeds.length === 1 ? "1 seed" : `${seeds.length} seeds`;
}

function unjudged({ cells }: Chain): boolean {
  return cells.every(({ verdict }) => verdict === "too few seeds" || verdict === "no data");
}

const TITLES: Readonly<Record<ChainMoment, string>> = {
  "equal step": "after equal steps",
  "equal loss": "where both arms first have the best loss that both of them reach",
  "equal sink": "where both sinks are first equally strong",
};

export function chainTable(chain: SettingChain, moment: ChainMoment): Table {
  const variants = variantsOf(chain);
  const own = chain.cells.filter((cell) => cell.moment === moment);
  const find = (link: ChainLink, variant: StudyVariant) =>
    own.find((cell) => cell.link === link && cell.variant === variant);
  const remarks = moment === "equal sink"
    ? variants.flatMap((variant) => {
      const remark = find(CHAIN_LINKS[0]!, variant)?.remark;
      return remark === undefined ? [] : `${VARIANT_NAMES[variant]}: ${remark}`;
    })
    : [];
  const shown = CHAIN_LINKS.filter((link) =>
    moment === "equal step" || variants.some((variant) => find(link, variant)?.effect.count)
  );
  return {
    caption: `${chain.setting}, ${TITLES[moment]}, ${seedsOf(chain)}: variant ÷ baseline, ` +
      "or variant − baseline for outcomes; median over pairs of seeds, its interval and the verdict." +
      remarks.map((remark) => ` ${remark}.`).join(""),
    columns: [
      { title: "link" },
      // At equal loss or sink, the baseline's step differs from variant to variant, so there is no
      // single figure of the baseline.
      ...moment === "equal step" ? numberColumns("baseline") : [],
      ...textColumns(...variants.map((variant) => VARIANT_NAMES[variant])),
    ],
    rows: shown.map((link) => [
      link.title,
      ...moment === "equal step"
        ? [
          formatFigure(
            variants.flatMap((variant) => find(link, variant)?.baseline ?? [])[0],
            link.unit,
          ),
        ]
        : [],
      ...variants.map((variant) => effectCell(find(link, variant), chain.seeds.length)),
    ]),
  };
}

/**
 * A table with a row per intervention: the links that it breaks, weakens or strengthens, the
 * outcomes that it lowers or raises, and the results that differ from what the papers expect.
 */
export function chainSummaryTable(chain: SettingChain): Table {
  const names = (links: readonly ChainLink[]) => links.map(({ short }) => short).join(", ") || NONE;
  const of = (links: readonly ChainLink[], kind: ChainLink["kind"]) =>
    links.filter((link) => link.kind === kind);
  return {
    caption: `${chain.setting}, after equal steps, ${seedsOf(chain)}.` +
      (unjudged(chain) ? " No verdict yet: with fewer than 6 seeds no two-sided test passes." : ""),
    columns: [
      ...textColumns("intervention", "breaks", "weakens", "strengthens", "outcomes lower"),
      ...textColumns("outcomes higher", "expected, not reproduced", "against the theory"),
    ],
    rows: summarizeChain(chain).map((summary) => [
      VARIANT_NAMES[summary.variant],
      names(of(summary.broken, "link")),
      names(of(summary.weaker, "link")),
      names(of(summary.stronger, "link")),
      names(of([...summary.broken, ...summary.weaker], "outcome")),
      names(of(summary.stronger, "outcome")),
      names(summary.notReproduced),
      summary.against.length === 0 ? NONE : { text: names(summary.against), tone: "bad" as const },
    ]),
  };
}

export function chainRemarks({ setting, seeds, without }: SettingChain): string[] {
  if (without.length === 0) return [];
  return [
    `${setting}: the chain uses only seeds ${seeds.join(", ") || "(none)"}, which all arms have; ` +
    `some arms lack seeds ${without.join(", ")}`,
  ];
}

export function chainPicture(chain: SettingChain, sized: Sized): StudyPicture | undefined {
  const rows = chain.cells
    .filter(({ moment, link }) => moment === "equal step" && link.compared === "quotient")
    .flatMap(({ variant, link, effect, verdict }): ChainRow[] =>
      effect.median === undefined ? [] : [{
        series: VARIANT_NAMES[variant],
        link: link.short,
        median: effect.median,
        low: effect.interval?.low ?? effect.median,
        high: effect.interval?.high ?? effect.median,
        shown: verdict === "broken" || verdict === "weaker" || verdict === "stronger",
      }]
    );
  const text = {
    id: `${chain.setting}-chain${sized.suffix}`,
    title: `The chain from sink to massive activation, ${chain.setting}: each arm ÷ baseline`,
    description:
      "The links stand from top to bottom. From left to right is the factor by which an " +
      "intervention changes a link: the median over pairs of seeds with its interval. Signs are " +
      `filled if a two-sided test shows a change. ${SEE_TABLE}`,
  };
  const picture = chainPlot(rows, {
    document: sized.document,
    width: sized.width,
    text,
    series: variantsOf(chain).map((variant) => VARIANT_NAMES[variant]),
    links: CHAIN_LINKS.filter(({ compared }) => compared === "quotient").map(({ short }) => short),
  });
  return picture && { id: text.id, title: "The chain, arm by arm", picture };
}
