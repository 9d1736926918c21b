/** `deno task study report`: reads folders of runs and writes a page, figures and claims. */
import { join } from "node:path";
import { escapeTerminal } from "../../escape.ts";
import { armName } from "../../experiments/study/arms.ts";
import { judgeClaims } from "../../experiments/study/claims/judge.ts";
import { mergeStudy, type NamedRecord, type Study } from "../../experiments/study/merge.ts";
import { thinRecord } from "../../experiments/study/record_build.ts";
import { savePlan } from "../../experiments/study/plan.ts";
import { readStudyFolder, writeStudyRecord } from "../../experiments/study/record_store.ts";
import { FileError } from "../../files/file_error.ts";
import { makeFolder, writeTextFile } from "../../files/write.ts";
import { formatStudy, formatStudyJson, formatStudyMarkdown } from "../../report/study/text.ts";
import { type CommandOutput, tellWritten } from "../shared/output.ts";

/**
 * Writes the report, and returns the exit code.
 *
 * @throws {FileError} if a folder cannot be read, if none holds a complete run, or if the report
 *   cannot be written
 */
export async function writeReport(
  { folders, out, records }: {
    readonly folders: readonly string[];
    readonly out: string;
    readonly records?: string | undefined;
  },
  output: CommandOutput,
): Promise<number> {
  const found: NamedRecord[] = [];
  const planned: string[] = [];
  const problems: string[] = [];
  for (const folder of folders) {
    const read = await readStudyFolder(folder);
    found.push(...read.records);
    planned.push(...read.planned);
    problems.push(...read.problems);
  }
  const merged = mergeStudy(found, planned);
  const study: Study = { ...merged, warnings: [...problems, ...merged.warnings] };
  if (study.groups.length === 0) {
    for (const warning of study.warnings) output.err(`note: ${escapeTerminal(warning)}\n`);
    throw new FileError(`no complete run in ${folders.join(", ")}`);
  }
  const claims = judgeClaims(study);
  const [{ renderStudyPage }, { studyFigures }, { createSvgDocument }] = await Promise.all([
    import("../../report/study/page.ts"),
    import("../../report/study/figure_files.ts"),
    import("../../report/svg_document.ts"),
  ]);
  const document = createSvgDocument();
  const page = renderStudyPage(study, { claims, document });
  const figures = studyFigures(study, document);
  await makeFolder(join(out, "figures"));
  for (const { name, text } of figures) await writeTextFile(join(out, "figures", name), text);
  await writeTextFile(join(out, "claims.md"), formatStudyMarkdown(study, claims));
  await writeTextFile(join(out, "claims.json"), formatStudyJson(study, claims));
  await writeTextFile(join(out, "index.html"), page);
  if (records !== undefined) {
    await gather(study, records);
    if (planned.length > 0) await savePlan(records, [...new Set(planned)]);
  }
  output.out(formatStudy(study, claims, { color: output.color }));
  const names = ["index.html", "figures", "claims.md", "claims.json"];
  tellWritten(output, "study", [...names.map((name) => join(out, name)), records]);
  return 0;
}

/**
 * Copies the report's records to a folder, each under its arm's name. Only the first seed's records
 * keep the values of single tokens, because the page plots them for that seed only.
 */
async function gather({ groups }: Study, folder: string): Promise<void> {
  await makeFolder(folder);
  for (const { records, seeds } of groups) {
    for (const record of records) {
      const points = record.arm.seed === seeds[0];
      const path = join(folder, `${armName(record.arm)}.json`);
      await writeStudyRecord(path, thinRecord(record, { points }));
    }
  }
}
