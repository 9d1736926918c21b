/**
 * The study as one HTML page without scripts or requests, readable in light and dark, on a phone,
 * and without seeing the pictures.
 */
import { chainSection } from "./chain_section.ts";
import type { ClaimResult } from "../../experiments/study/claims/judge.ts";
import { SETTING_TITLES } from "../../experiments/study/arms.ts";
import type { Study, StudyGroup } from "../../experiments/study/merge.ts";
import { formatProbability, NO_DATA } from "../format.ts";
import { html, htmlTable, type Markup, scrollRegion } from "../html.ts";
import { type PageSection, renderPage } from "../page.ts";
import { signIcon, type SvgDocument } from "../plot.ts";
import { branchPictures, layerPictures, slackPicture, violinPicture } from "./final_pictures.ts";
import { seriesNames, type StudyPicture, twice } from "./picture.ts";
import { runTable } from "./run_table.ts";
import {
  evidenceTable,
  formatEvidence,
  onsetTable,
  settingsTable,
  variantTable,
} from "./tables.ts";
import { correctionRemark, gap, notes, seedRemark } from "./text.ts";
import { plural } from "../../plural.ts";
import { curvePictures, onsetPicture, pathPicture, strengthPictures } from "./training_pictures.ts";
import { absence, headline, VERDICT_FORMS, verdictCounts, verdictLegend } from "./verdicts.ts";

const STUDY_STYLE = `
.claims td,.claims th{white-space:normal;min-width:9rem}
.claims tbody th{max-width:17rem}
.claims td b{display:block}
.claims small{display:block;color:var(--soft);font-size:.82rem}
.verdicts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,200px),1fr));gap:.8rem;list-style:none;padding:0;margin:1.1rem 0}
.verdicts .big{font-size:1.5rem;font-weight:650;line-height:1.15;margin:0;font-variant-numeric:tabular-nums}
.verdicts p{margin:.1rem 0 0;font-size:.9rem}
.rules dt{font-weight:600;margin-top:.6rem}
.rules dd{margin:0;max-width:80ch}
.part{margin:1.4rem 0 .6rem;font-size:1.08rem}
.stack>*+*{margin-top:.9rem}
`.trim();

function runCount({ groups }: Study): number {
  return groups.reduce((sum, { records }) => sum + records.length, 0);
}

function lead(study: Study): Markup {
  const { groups } = study;
  if (groups.length === 0) {
    return html`<p class="lead">There is no complete run yet, so there is nothing to judge.</p>`;
  }
  const parts = groups.map(({ setting, seeds, variants, settings }) =>
    `${setting} (${plural(variants.length, "variant")} × ${
      plural(seeds.length, "seed")
    }, ${settings.steps} steps)`
  );
  return html`
    <p
      class="lead">Small Llama-like models with and without a change to attention, alike in everything else: ${parts
        .join(
          ", ",
        )}. A rule in code judges every claim below, and the page prints each rule.</p>
    <p class="soft">${seedRemark(study)}</p>
  `;
}

function verdictCards(study: Study, claims: readonly ClaimResult[]): Markup {
  return html`
    <ul class="verdicts">${study.groups.map(({ setting }) => {
      const counts = verdictCounts(claims.filter((claim) => claim.setting === setting));
      return html`
        <li class="card">
          <h3>${setting}</h3>
          <p class="soft">${SETTING_TITLES[setting]}</p>
          ${counts.map(({ verdict, count }) =>
            html`<p><span class="${VERDICT_FORMS[verdict].tone}">${VERDICT_FORMS[verdict].sign} ${
              String(count)
            } ${verdict}</span></p>`
          )}
        </li>
      `;
    })}</ul>
  `;
}

function claimCell(claim: ClaimResult | undefined): Markup {
  if (claim === undefined) return html`<td class="faint">${NO_DATA}</td>`;
  const best = headline(claim);
  const figure = absence(claim) ?? (best === undefined ? NO_DATA : formatEvidence(best));
  const { sign, tone } = VERDICT_FORMS[claim.verdict];
  const test = best?.test === undefined ? "" : `, p ${withRelation(best.test.pValue)}`;
  return html`
    <td>
      <b class="${tone}">${sign} ${claim.verdict}</b>
      ${figure}
      <small>${best?.label ?? ""}, n = ${String(best?.summary.count ?? 0)}${test}</small>${claim
        .remarks.map((remark) => html`<small>${remark}</small>`)}
    </td>
  `;
}

function withRelation(p: number): string {
  const text = formatProbability(p);
  return text.startsWith("<") ? `< ${text.slice(1)}` : `= ${text}`;
}

/** Claims by setting. */
function claimMatrix(study: Study, claims: readonly ClaimResult[]): Markup {
  const ids = [...new Map(claims.map((claim) => [claim.id, claim])).values()];
  return scrollRegion(
    "claims",
    html`
      <table class="claims">
        <caption id="claims-caption">Verdicts by rule, each with its main figure: the median and its
          interval over seeds. p is one-sided and exact, before correction.</caption>
        <thead>
          <tr><th scope="col">claim</th>${study.groups.map(({ setting }) =>
            html`<th scope="col">${setting}</th>`
          )}<th scope="col">paper</th></tr>
        </thead>
        <tbody>${ids.map(({ id, title, paper }) =>
          html`
            <tr><th scope="row">${title}</th>${study.groups.map(({ setting }) =>
              claimCell(claims.find((claim) => claim.id === id && claim.setting === setting))
            )}<td>${paper}</td></tr>
          `
        )}</tbody>
      </table>
    `,
  );
}

function claimSection(study: Study, claims: readonly ClaimResult[]): PageSection {
  const rules = [...new Map(claims.map((claim) => [claim.id, claim])).values()];
  return {
    id: "claims",
    title: "Claims",
    body: html`
      <div class="card">${claimMatrix(study, claims)}
        <ul class="soft">${verdictLegend(claims).map((line) => html`<li>${line}</li>`)}</ul>
        <details><summary>The rules</summary><dl class="rules">${rules.map(({ title, rule }) =>
          html`
            <dt>${title}</dt>
            <dd>${rule}</dd>
          `
        )}</dl></details>
        <details><summary>All the evidence, with corrected p-values</summary>${htmlTable(
          evidenceTable(claims),
          { id: "evidence", headers: 3 },
        )}</details>
      </div>
    `,
  };
}

function legend(group: StudyGroup): Markup {
  return html`
    <ul class="legend">${seriesNames(group).map((name, i) =>
      html`<li>${signIcon(i)}${name}</li>`
    )}</ul>
  `;
}

function figureCard({ title, picture }: StudyPicture): Markup {
  return html`
    <div class="card">
      <h3>${title}</h3>
      <figure>${picture}</figure>
    </div>
  `;
}

function missing(): Markup {
  return html`<p class="faint">${NO_DATA}</p>`;
}

function groupSection(group: StudyGroup, document: SvgDocument): PageSection {
  const { setting, variants } = group;
  const part = (title: string, text: string, body: Markup) =>
    html`
      <h3 class="part">${title}</h3>
      <p class="soft">${text}</p>
      ${body}
    `;
  return {
    id: setting,
    title: `Setting: ${setting}`,
    body: html`
      <p>${SETTING_TITLES[setting]}.</p>
      ${legend(group)}
      ${part(
        "Through training",
        "Lines are medians over seeds. Bands reach from the smallest value to the largest.",
        html`<div class="grid">${curvePictures(group, document).map(figureCard)}</div>`,
      )}
      ${part(
        "At equal sink strength",
        "Each sign is one measured step of one run, placed at the strength that its sink had at this step. Large signs are last steps. Variants whose signs lie on one curve are alike at equal sink strength.",
        html`<div class="grid">${strengthPictures(group, document).map(figureCard)}</div>`,
      )}
      ${part(
        "Onsets",
        "Each sign is the first measured step at which one seed reaches the level. At the right, the picture says how many seeds reach it.",
        html`
          <div class="card">${twice(document, (sized) => onsetPicture(group, sized)) ??
            missing()}<details><summary>As a table</summary>${htmlTable(onsetTable(group), {
              id: `${setting}-onsets`,
            })}</details></div>
        `,
      )}
      ${part(
        "Gradient sinks",
        "Norms of the gradients at the RMSNorm outputs that feed attention, ‖∇h̃‖, with the gradients summed over sequences. Token 0 stands beside the other tokens, over all layers and seeds.",
        html`
          <div class="card">${twice(document, (sized) => violinPicture(group, sized)) ??
            missing()}</div>
        `,
      )}
      ${part(
        "Path gradients over positions",
        "Gradients with respect to values, keys and queries: early in training, later, and at the end.",
        html`
          <div class="stack">${variants.map((variant) =>
            html`
              <div class="card"><h3>${seriesNames(group)[variants.indexOf(variant)]!}</h3>${twice(
                document,
                (sized) => pathPicture(group, variant, sized),
              ) ?? missing()}</div>
            `
          )}</div>
        `,
      )}
      ${part(
        "RMSNorm as a regulator",
        "Bloat, Compress and Change of single tokens over ‖h‖; large signs are token 0.",
        html`<div class="grid">${
          branchPictures(group, { document, width: 400, suffix: "" }).map(figureCard)
        }</div>`,
      )}
      ${part(
        "By layer",
        "Signs are token 0, dashes the early tokens.",
        html`<div class="grid">${layerPictures(group, document).map(figureCard)}</div>`,
      )}
      ${part(
        "Slack of the bounds",
        "Each bound divided by the value that it bounds, on real batches. At 1 the bound is attained.",
        html`
          <div class="card">${twice(document, (sized) => slackPicture(group, sized)) ??
            missing()}</div>
        `,
      )}
      ${part(
        "Figures",
        "All figures at the end of training.",
        html`<div class="card">${htmlTable(variantTable(group), { id: `${setting}-figures` })}${
          runList(group)
        }</div>`,
      )}
    `,
  };
}

/** Nothing if no record has intervals. */
function runList(group: StudyGroup): Markup {
  const table = runTable(group);
  if (table === undefined) return html``;
  return html`
    <details><summary>Run by run, with intervals over sequences</summary>${htmlTable(table, {
      id: `${group.setting}-runs`,
    })}</details>
  `;
}

function method(study: Study, claims: readonly ClaimResult[]): PageSection {
  return {
    id: "method",
    title: "How it was made",
    body: html`
      <div class="card">
        <p>Every arm is one run. Arms of a setting differ only in their variant and seed. The study compares them in pairs with equal seeds, after equal steps and at equal sink strength. Equal sink strength means the first measured step of each run whose sink reaches a common strength. Nothing is interpolated between measurements.</p>
        <p>The <b>sink layer</b> of a run is the layer whose attention to token 0 is strongest at the end of training. <b>Sink strength</b> is this layer’s mean attention to token 0 over idle queries, which have no reason to look anywhere. If the task has no idle queries, it is the mean over all queries. <b>Early tokens</b> are positions 1 to 15.</p>
        <p>Tests are exact sign-flip permutation tests over seeds, one-sided in the paper’s direction. ${seedRemark(
          study,
        )} ${correctionRemark(claims)}</p>
        <p>The paper is Chen, Lin and Yao, arXiv 2603.17771; its models have 0.1 to 1 billion parameters and train on text. An effect that these small models do not show may still exist in the paper’s.</p>
      </div>
      <div class="card">${htmlTable(settingsTable(study), {
        id: "settings",
      })}</div>
    `,
  };
}

/**
 * Renders a study as a self-contained HTML page.
 *
 * @param options its claims, and a browser's document or one from `svg_document.ts`
 */
export function renderStudyPage(
  study: Study,
  { claims, document }: { readonly claims: readonly ClaimResult[]; readonly document: SvgDocument },
): string {
  const sections = [
    ...study.groups.length === 0 ? [] : [claimSection(study, claims)],
    ...[chainSection(study, document)].filter((section) => section !== undefined),
    ...study.groups.map((group) => groupSection(group, document)),
    method(study, claims),
  ];
  const runs = plural(runCount(study), "run");
  const list = (texts: readonly string[]) => texts.join(", ") || NO_DATA;
  return renderPage({
    title: "Gradient sinks in small models: the controlled study",
    meta: [runs, `gradsink ${list(study.versions)}`, list(study.adapters)].join(" · "),
    summary: html`${gap(study).map((line) => html`<p class="bad"><b>${line}.</b></p>`)}
    ${lead(study)}
    ${verdictCards(study, claims)}`,
    notes: { title: "Keep in mind", lines: notes(study) },
    // Existing links to sections use these anchors, so do not change them.
    sections: sections.map((section) => ({ ...section, anchor: `${section.id}-section` })),
    source: `the records of ${runs}`,
    style: STUDY_STYLE,
  });
}
