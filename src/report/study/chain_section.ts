/** The page's section on the chain. */
import { CHAIN_MOMENTS, CHAIN_RULE } from "../../experiments/study/chain.ts";
import type { Study } from "../../experiments/study/merge.ts";
import { NO_DATA } from "../format.ts";
import { html, htmlTable } from "../html.ts";
import type { PageSection } from "../page.ts";
import type { SvgDocument } from "../plot.ts";
import { chainPicture, chainRemarks, chainsOf, chainSummaryTable, chainTable } from "./chain.ts";
import { twice } from "./picture.ts";

/**
 * Makes the section with every setting's chain; undefined if no setting has a baseline and another
 * arm.
 */
export function chainSection(study: Study, document: SvgDocument): PageSection | undefined {
  const chains = chainsOf(study.groups);
  if (chains.length === 0) return undefined;
  return {
    id: "chain",
    title: "The chain, link by link",
    body: html`
      <p
        class="soft">Which link from attention sink to massive activation each intervention breaks. ${CHAIN_RULE}</p>
      ${chains.flatMap(chainRemarks).map((line) => html`<p><b>${line}.</b></p>`)}
      ${chains.map((chain) =>
        html`
          <h3 class="part">${chain.setting}</h3>
          <div class="card">${twice(document, (sized) => chainPicture(chain, sized)) ??
            html`<p class="faint">${NO_DATA}</p>`}
            ${htmlTable(chainSummaryTable(chain), { id: `${chain.setting}-chain-summary` })}
            ${CHAIN_MOMENTS.map((moment) =>
              html`
                <details><summary>At ${moment}</summary>${htmlTable(chainTable(chain, moment), {
                  id: `${chain.setting}-chain-${moment.replace(" ", "-")}`,
                })}</details>
              `
            )}</div>
        `
      )}
    `,
  };
}
