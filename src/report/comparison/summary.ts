/** The beginning of a comparison's page: the result in a sentence, then machines, then warnings. */
import type { Comparison } from "../../measure/comparison.ts";
import type { Machine } from "../../measure/comparison/machine.ts";
import { ceilingCell, shareText } from "./cells.ts";
import { formatChange, formatChangeInterval, formatFactor, NO_DATA } from "../format.ts";
import { html, type Markup } from "../html.ts";
import { cellText } from "../table.ts";
import { plural } from "../../plural.ts";
import { signIcon } from "../plot.ts";

function lead(comparison: Comparison): Markup {
  const { machines, rows, totals, completeRows } = comparison;
  if (machines.length === 2) {
    const { verdicts, ratioToFirst, ratioInterval } = totals[1]!;
    const parts = (["faster", "slower", "same", "ambiguous", "no data"] as const)
      .filter((verdict) => verdicts[verdict] > 0)
      .map((verdict) => `${verdicts[verdict]} ${verdict}`);
    return html`<p class="lead">Over ${plural(rows.length, "measurement")}, <b>${
      machines[1]!.name
    }</b> takes ${
      ratioToFirst === undefined
        ? html`no comparable time`
        : html`${formatFactor(ratioToFirst)} the time of <b>${machines[0]!.name}</b> (${
          ratioInterval === undefined
            ? ""
            : `${formatFactor(ratioInterval.low)} to ${formatFactor(ratioInterval.high)}, `
        }geometric mean)`
    }: ${parts.join(", ")}.</p>`;
  }
  const ranked = totals.map((total, i) => ({ total, name: machines[i]!.name }))
    .filter(({ total }) => total.geometricMean !== undefined)
    .sort((a, b) => a.total.geometricMean! - b.total.geometricMean!);
  if (ranked.length === 0) {
    return html`<p class="lead">No measurement is in all files, so the machines are compared row by row only.</p>`;
  }
  const others = ranked.slice(1).map(({ name, total }) =>
    html`, ${name} takes ${formatFactor(total.geometricMean! / ranked[0]!.total.geometricMean!)}`
  );
  return html`
    <p
      class="lead">Over the ${plural(
        completeRows,
        "measurement",
      )} that every machine has, <b>${ranked[0]!
        .name}</b> is the fastest (geometric mean of times)${others} its time.</p>
  `;
}

/** Names the adapter, unless the machine has the same name, and says if the adapter is software. */
function described({ name, adapter, software }: Machine): string {
  const parts = [...adapter === name ? [] : [adapter], ...software ? ["software adapter"] : []];
  return parts.length === 0 ? "hardware adapter" : parts.join(", ");
}

function cards(comparison: Comparison): Markup {
  const { machines, totals } = comparison;
  const pair = machines.length === 2;
  return html`
    <ul class="machines">${machines.map((machine, i) => {
      const total = totals[i]!;
      const figure = pair
        ? (i === 0
          ? html`baseline`
          : html`${formatChange(total.ratioToFirst)} <small>${
            total.ratioInterval === undefined
              ? ""
              : `${formatChangeInterval(total.ratioInterval)}, `
          }time against the baseline</small>`)
        : html`${formatFactor(total.geometricMean)} <small>the best time</small>`;
      return html`
        <li class="card">
          <h3>${signIcon(i)}<span>${machine.name}</span></h3>
          <p class="soft">${described(machine)}</p>
          <p class="big">${figure}</p>
          <dl>
        ${pair ? "" : html`
          <dt>rank</dt>
          <dd>${total.meanRank?.toFixed(2) ?? NO_DATA}</dd>
        `}<dt>of roofline</dt><dd>${shareText(total)}</dd>
        <dt>f32 peak</dt><dd>${cellText(ceilingCell(machine, "f32Fma", "FLOP/s"))}</dd>
        <dt>copy peak</dt><dd>${cellText(ceilingCell(machine, "copyBandwidth", "B/s"))}</dd>
        <dt>runtime</dt><dd>${machine.runtime}</dd>
          </dl>
        </li>
      `;
    })}</ul>
  `;
}

function notes({ warnings }: Comparison): Markup {
  return warnings.length === 0 ? html`` : html`
    <div class="notes" role="note"><b>Keep in mind</b><ul>${warnings.map((warning) =>
      html`<li>${warning}</li>`
    )}</ul></div>
  `;
}

/** The beginning of the page. */
export function summaryMarkup(comparison: Comparison): Markup {
  return html`${lead(comparison)}${cards(comparison)}${notes(comparison)}`;
}
