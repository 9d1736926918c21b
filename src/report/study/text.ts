/** Writes the study's claims for terminals, as Markdown and as JSON. */
import type { ClaimResult } from "../../experiments/study/claims/judge.ts";
import { LEVEL } from "../../experiments/study/claims/evidence.ts";
import type { Study } from "../../experiments/study/merge.ts";
import { escapeTerminal } from "../../escape.ts";
import { NO_DATA } from "../format.ts";
import {
  claimTable,
  evidenceTable,
  formatEvidence,
  onsetTable,
  settingsTable,
  variantTable,
} from "./tables.ts";
import { CHAIN_MOMENTS, CHAIN_RULE } from "../../experiments/study/chain.ts";
import { chainRemarks, chainsOf, chainSummaryTable, chainTable } from "./chain.ts";
import { absence, headline, tally, verdictCell, verdictLegend } from "./verdicts.ts";
import { SETTING_TITLES } from "../../experiments/study/arms.ts";
import {
  escapeMarkdown,
  formatMarkdownTable,
  formatTerminalTable,
  type Table,
  textColumns,
} from "../table.ts";

export function seedRemark({ groups }: Study): string {
  const most = Math.max(0, ...groups.map(({ seeds }) => seeds.length));
  if (most === 0) return "No complete run.";
  if (most === 1) return "One seed alone gives no interval, and no test can pass.";
  return `With ${most} pairs of seeds, the smallest possible p is 1/${2 ** most} for a one-sided ` +
    `sign-flip test and 1/${2 ** (most - 1)} for a two-sided one. ` +
    (most < 6
      ? `Intervals are the range over seeds, which covers the true median with a probability of ${
        (100 * (1 - 2 ** (1 - most))).toPrecision(4)
      } %.`
      : "Intervals cover the true median with a probability of 95 %.");
}

/** Explains the correction for many tests. */
export function correctionRemark(claims: readonly ClaimResult[]): string {
  const tests = claims.reduce(
    (sum, { evidence }) => sum + evidence.filter(({ test }) => test !== undefined).length,
    0,
  );
  if (tests === 0) return "";
  const seeds = Math.ceil(Math.log2(tests / LEVEL));
  return `Each verdict uses p-values before correction, at a level of ${LEVEL}. The table of evidence ` +
    `also has p-values after Holm's correction over all ${tests} tests of the study. A test needs at ` +
    `least ${seeds} seeds to pass after this correction.`;
}

/** Writes the study for a terminal: one line per claim and setting, and the caveats. */
export function formatStudy(
  study: Study,
  claims: readonly ClaimResult[],
  { color = false }: { readonly color?: boolean } = {},
): string {
  const table: Table = {
    columns: [
      ...textColumns("claim", "setting", "verdict", "median (interval)"),
      { title: "seeds", align: "right" },
    ],
    rows: claims.map((claim) => {
      const best = headline(claim);
      return [
        claim.title,
        claim.setting,
        verdictCell(claim.verdict),
        absence(claim) ?? (best === undefined ? NO_DATA : formatEvidence(best)),
        String(best?.summary.count ?? 0),
      ];
    }),
  };
  return [
    ...gap(study).map((line) => `${escapeTerminal(line)}\n`),
    formatTerminalTable(table, { color }),
    "",
    `${tally(claims)}. ${seedRemark(study)}`,
    ...verdictLegend(claims).map((line) => `  ${line}`),
    ...notes(study).map((note) => `note: ${escapeTerminal(note)}`),
    "",
  ].join("\n");
}

/** Names the missing runs in a sentence that readers must see first. Empty if none is missing. */
export function gap({ groups, missing }: Study): string[] {
  if (missing.length === 0) return [];
  const there = groups.reduce((sum, { records }) => sum + records.length, 0);
  return [
    `${missing.length} of ${missing.length + there} runs are missing: no complete run of ${
      missing.join(", ")
    }`,
  ];
}

/** Caveats about the existing data. */
export function notes({ warnings }: Study): readonly string[] {
  return warnings;
}

/** Writes the study as Markdown: claims, evidence, figures, settings. */
export function formatStudyMarkdown(study: Study, claims: readonly ClaimResult[]): string {
  const rules = [
    ...new Map(claims.map(({ id, title, rule }) => [id, { id, title, rule }])).values(),
  ];
  return [
    "# The controlled study",
    "",
    ...gap(study).flatMap((line) => [`**${escapeMarkdown(line)}**`, ""]),
    `${tally(claims)}. ${seedRemark(study)} ${correctionRemark(claims)}`,
    "",
    ...notes(study).map((note) => `- ${escapeMarkdown(note)}`),
    "",
    "## Claims",
    "",
    formatMarkdownTable(claimTable(claims)),
    ...verdictLegend(claims).map((line) => `- ${escapeMarkdown(line)}`),
    "",
    ...formatChains(study),
    "## Rules",
    "",
    ...rules.map(({ id, rule }) => `- **${escapeMarkdown(id)}**: ${escapeMarkdown(rule)}`),
    "",
    "## Evidence",
    "",
    formatMarkdownTable(evidenceTable(claims)),
    ...study.groups.flatMap((group) => [
      `## ${escapeMarkdown(SETTING_TITLES[group.setting])}`,
      "",
      formatMarkdownTable(variantTable(group)),
      formatMarkdownTable(onsetTable(group)),
    ]),
    "## Settings",
    "",
    formatMarkdownTable(settingsTable(study)),
  ].join("\n");
}

/** Setting by setting. */
function formatChains({ groups }: Study): string[] {
  const chains = chainsOf(groups);
  if (chains.length === 0) return [];
  return [
    "## The chain, link by link",
    "",
    CHAIN_RULE,
    "",
    ...chains.flatMap(chainRemarks).map((line) => `- ${escapeMarkdown(line)}`),
    "",
    ...chains.flatMap((chain) => [
      formatMarkdownTable(chainSummaryTable(chain)),
      ...CHAIN_MOMENTS.map((moment) => formatMarkdownTable(chainTable(chain, moment))),
    ]),
  ];
}

/** Writes the study as JSON. */
export function formatStudyJson(study: Study, claims: readonly ClaimResult[]): string {
  const { groups, missing, warnings, adapters, versions } = study;
  return escapeJson(JSON.stringify(
    {
      schema: "gradsink-study-claims/1",
      versions,
      adapters,
      groups: groups.map(({ setting, variants, seeds, settings }) => ({
        setting,
        variants,
        seeds,
        settings,
      })),
      missing,
      warnings,
      claims,
      chains: chainsOf(groups).map(({ setting, seeds, without, cells }) => ({
        setting,
        seeds,
        without,
        cells: cells.map(({ link, ...cell }) => ({ link: link.id, ...cell })),
      })),
    },
    null,
    2,
  ));
}

/** Keeps the text's own line breaks. */
function escapeJson(text: string): string {
  return text.split("\n").map(escapeTerminal).join("\n") + "\n";
}
