/**
 * Tells where to offer a complete result file, for `deno task share` and `deno task bench --share`.
 */
import { basename } from "node:path";
import config from "../../../deno.json" with { type: "json" };
import { escapeTerminal } from "../../escape.ts";
import { NO_REPOSITORY, shareResult } from "../../measure/result_file/share.ts";
import { UsageError } from "./arguments.ts";

export function projectRepository(): string | undefined {
  return (config as { readonly repository?: string }).repository;
}

/**
 * Refuses to share without a repository, before any other work.
 *
 * @throws {UsageError} if there is none, or it is not an address on GitHub
 */
export function checkRepository(
  repository: string | undefined,
): asserts repository is string {
  if (repository === undefined) throw new UsageError(NO_REPOSITORY);
  try {
    shareResult(repository, { name: "a.json", text: "{}" });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}, in deno.json`);
  }
}

export function shareLines(
  repository: string,
  { path, text }: { readonly path: string; readonly text: string },
): string {
  const { url, complete } = shareResult(repository, { name: basename(path), text });
  const where = escapeTerminal(path);
  return `To offer ${where} to the project, open\n\n  ${url}\n\n` +
    (complete
      ? "and propose the new file. Nothing has been sent.\n"
      : `paste the content of ${where} there, and propose the new file. Nothing has been sent.\n`);
}
