/** `deno task study report`: folders of runs in; a page, figures and claims out. */
import { join } from "node:path";
import { escapeTerminal } from "../escape.ts";
import { judgeClaims } from "../experiments/study_claims.ts";
import { mergeStudy, type NamedRecord, type Study } from "../experiments/study_merge.ts";
import { readStudyFolder } from "../experiments/study_record_store.ts";
import { ResultFileError } from "../measure/result_file.ts";
import { writeTextFile } from "../measure/result_file_store.ts";
import { formatStudy, formatStudyJson, formatStudyMarkdown } from "../report/study_text.ts";
import type { CommandOutput } from "./compare.ts";

/**
 * Makes the report.
 *
 * @param request folders to read, and the folder to write to
 * @param output where to write the claims
 * @returns the exit code: 0, or 1 where no folder holds a complete run
 * @throws {ResultFileError} if a folder cannot be read, or the report cannot be written
 */
export async function writeReport(
  { folders, out }: { readonly folders: readonly string[]; readonly out: string },
  output: CommandOutput,
): Promise<number> {
  const found: NamedRecord[] = [];
  const problems: string[] = [];
  for (const folder of folders) {
    const { records, problems: own } = await readStudyFolder(folder);
    found.push(...records);
    problems.push(...own);
  }
  const merged = mergeStudy(found);
  const study: Study = { ...merged, warnings: [...problems, ...merged.warnings] };
  if (study.groups.length === 0) {
    for (const warning of study.warnings) output.err(`note: ${escapeTerminal(warning)}\n`);
    throw new ResultFileError(`no complete run in ${folders.join(", ")}`);
  }
  const claims = judgeClaims(study);
  const [{ renderStudyPage }, { studyFigures }, { createSvgDocument }] = await Promise.all([
    import("../report/study_page.ts"),
    import("../report/study_figure_files.ts"),
    import("../report/svg_document.ts"),
  ]);
  const document = createSvgDocument();
  const page = renderStudyPage(study, { claims, document });
  const figures = studyFigures(study, document);
  try {
    await Deno.mkdir(join(out, "figures"), { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new ResultFileError(
      escapeTerminal(`${out}: cannot be made: ${(error as Error).message}`),
    );
  }
  for (const { name, text } of figures) await writeTextFile(join(out, "figures", name), text);
  await writeTextFile(join(out, "claims.md"), formatStudyMarkdown(study, claims));
  await writeTextFile(join(out, "claims.json"), formatStudyJson(study, claims));
  await writeTextFile(join(out, "index.html"), page);
  output.out(formatStudy(study, claims, { color: output.color }));
  output.out(
    escapeTerminal(
      `${join(out, "index.html")}, ${figures.length} figures beside it, claims.md and claims.json`,
    ) + "\n",
  );
  return 0;
}
