/**
 * Makes text from strangers harmless before a person or a browser sees it.
 *
 * Result files, file names and driver strings can hold escape sequences that repaint a terminal,
 * direction overrides that reorder a line, or markup.
 */

// Matches C0 and C1 controls with DEL; the soft hyphen; Arabic and Mongolian format characters;
// zero-width and direction marks; line and paragraph separators; direction overrides and isolates;
// other invisible format characters; the byte order mark; interlinear annotations; tag characters;
// lone surrogates.
const invisible =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

function codeUnits(text: string): string {
  return Array.from(
    { length: text.length },
    (_, i) => "\\u" + text.charCodeAt(i).toString(16).padStart(4, "0"),
  ).join("");
}

/**
 * Replaces control characters and invisible format characters by `\uXXXX`, so the text cannot steer
 * a terminal or look like another text. JSON text without white space between its tokens keeps its
 * meaning, because there such characters stand only inside strings.
 *
 * @returns the text on one line, all of it visible
 *
 * @example
 * ```ts
 * import { escapeTerminal } from "./escape.ts";
 *
 * console.log(escapeTerminal("\u001b[2Jgone")); // \u001b[2Jgone, as visible text
 * ```
 */
export function escapeTerminal(text: string): string {
  return text.replace(invisible, codeUnits);
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  "`": "&#96;",
};

/**
 * Escapes text for HTML, as an element's content or as an attribute's value in quotation marks.
 * Also replaces the characters that {@linkcode escapeTerminal} replaces.
 *
 * @example
 * ```ts
 * import { escapeHtml } from "./escape.ts";
 *
 * console.log(escapeHtml("<img src=x onerror='…'>")); // &lt;img src=x onerror=&#39;…&#39;&gt;
 * ```
 */
export function escapeHtml(text: string): string {
  return escapeTerminal(text).replace(/[&<>"'`]/g, (character) => entities[character]!);
}

/**
 * Shortens text for a message. It counts code points, so no surrogate pair is cut in two.
 *
 * @param length the most code points in the result
 * @returns the text, or its beginning and an ellipsis
 */
export function truncate(text: string, length: number): string {
  // A code point takes at most two UTF-16 units, so the slice holds the first `length` + 1 of them.
  const points = Array.from(text.slice(0, 2 * length + 2));
  return points.length <= length ? text : points.slice(0, length - 1).join("") + "…";
}
