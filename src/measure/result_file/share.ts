/**
 * Makes the address at which a user offers a result file to the project. It opens a GitHub page
 * that adds a file under `fixtures/`. Nothing is published before the user presses a button there.
 *
 * This file calls no Deno API, because the browser's page uses it too.
 */

/** The longest address to make, because GitHub refuses addresses above about 8 KiB. */
export const LONGEST_ADDRESS = 8000;

/** Result of {@linkcode shareResult}. */
export interface Share {
  /** The address to open in a browser. */
  readonly url: string;
  /** Whether the address contains the file's text. If not, the user pastes the text on the page. */
  readonly complete: boolean;
}

/**
 * Makes the address for offering a result file.
 *
 * @param repository the project's repository, such as `https://github.com/OWNER/NAME`
 * @param options the file's name without a folder, and its text
 * @throws {RangeError} if the repository is not an address on GitHub
 *
 * @example
 * ```ts
 * import { shareResult } from "./share.ts";
 *
 * const share = shareResult("https://github.com/o/r", { name: "a.json", text: "{}" });
 * console.log(share.url); // https://github.com/o/r/new/main?filename=fixtures%2Fa.json&value=%7B%7D
 * ```
 */
export function shareResult(
  repository: string,
  { name, text }: { readonly name: string; readonly text: string },
): Share {
  const [, path] = /^https:\/\/github\.com\/([\w.-]+\/[\w.-]+?)(?:\.git)?\/?$/.exec(repository) ??
    [];
  if (path === undefined) {
    throw new RangeError(
      `the repository is ${JSON.stringify(repository.slice(0, 200))}, wanted an address as ` +
        "https://github.com/OWNER/NAME",
    );
  }
  const empty = `https://github.com/${path}/new/main?filename=${
    encodeURIComponent(`fixtures/${name}`)
  }`;
  const url = `${empty}&value=${encodeURIComponent(text)}`;
  return url.length <= LONGEST_ADDRESS ? { url, complete: true } : { url: empty, complete: false };
}

/** The message if this copy of the project has no `repository`. */
export const NO_REPOSITORY = "this copy of gradsink names no repository to share with; add " +
  '"repository": "https://github.com/OWNER/NAME" to deno.json, or send the file yourself';
