/** The frame of every page of results: one file without scripts or requests. */
import { html, Markup } from "./html.ts";
import { PAGE_STYLE } from "./page_style.ts";

export interface PageSection {
  /** Letters, digits and dashes; unique per page. */
  readonly id: string;
  /** The id of the section's element, to which links lead. Default: `id`. */
  readonly anchor?: string;
  readonly title: string;
  readonly body: Markup;
}

/** A page, part by part. */
export interface Page {
  readonly title: string;
  /** On the page itself. Default: `title`. */
  readonly heading?: string;
  /** A line about what was measured. */
  readonly meta?: string;
  /** The page's first text, before the navigation. */
  readonly summary: Markup;
  /** Warnings, one per line. If there are no lines, the page leaves out the title too. */
  readonly notes?: { readonly title: string; readonly lines: readonly string[] };
  readonly sections: readonly PageSection[];
  /** What the page was made from, such as `2 result files`. The last line shows this text. */
  readonly source?: string;
  /** CSS that this page adds to the style of all pages. */
  readonly style?: string;
}

function anchorOf({ id, anchor = id }: PageSection): string {
  return anchor;
}

/**
 * Renders a self-contained HTML page.
 *
 * @example
 * ```ts
 * import { html } from "./html.ts";
 * import { renderPage } from "./page.ts";
 *
 * const page = renderPage({
 *   title: "One run",
 *   summary: html`<p>Nothing was measured.</p>`,
 *   sections: [{ id: "method", title: "Method", body: html`<p>None.</p>` }],
 *   source: "nothing",
 * });
 * console.log(page.includes("<title>One run – gradsink</title>")); // true
 * ```
 */
export function renderPage(page: Page): string {
  const { title, heading = title, meta, summary, notes, sections, source, style = "" } = page;
  const from = source === undefined ? "" : ` from ${source}`;
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'">
        <meta name="referrer" content="no-referrer">
        <title>${title} – gradsink</title>
        <style>${new Markup(PAGE_STYLE)}${new Markup(style)}</style>
      </head>
      <body>
        <a class="skip" href="#content">Skip to the results</a>
        <header>
    <h1>${heading}</h1>
    ${meta === undefined ? "" : html`<p class="meta">${meta}</p>`}
    ${summary}${notes === undefined || notes.lines.length === 0 ? "" : html`
      <div class="notes" role="note"><b>${notes.title}</b><ul>${notes.lines.map((line) =>
        html`<li>${line}</li>`
      )}</ul></div>
    `}</header>
        <nav aria-label="Sections">
          <ul>${sections.map((section) =>
            html`<li><a href="#${anchorOf(section)}">${section.title}</a></li>`
          )}</ul>
        </nav>
        <main id="content">
    ${sections.map((section) =>
      html`
        <section id="${anchorOf(section)}" aria-labelledby="${section.id}-heading">
        <h2 id="${section.id}-heading">${section.title}</h2>
        ${section.body}</section>
      `
    )}</main>
        <footer>
          <p>Made by gradsink${from}. The page contains no script and loads nothing.</p>
        </footer>
      </body>
    </html>
  `.text;
}
