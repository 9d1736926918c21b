/** A Worker that reads untrusted files and compares them, so that no file can block the page. */
import { compareResultFiles, type Comparison } from "../../../../src/measure/comparison.ts";
import { adapterName, type NamedResult } from "../../../../src/measure/comparison/machine.ts";
import { FileError, MAXIMUM_FILE_BYTES } from "../../../../src/files/file_error.ts";
import type { ResultFile } from "../../../../src/measure/result_file.ts";
import { formatResultFile, parseResultFile } from "../../../../src/measure/result_file/parse.ts";
import {
  formatComparisonCsv,
  formatComparisonJson,
  formatComparisonMarkdown,
} from "../../../../src/report/comparison/text.ts";
import { answerWith } from "../worker/answers.ts";
import { escapeTerminal, truncate } from "../../../../src/escape.ts";

/** A question to a comparing Worker. */
export type CompareQuestion =
  /** Reads a file and keeps it as number `id`; answers with a {@linkcode FileSummary}. */
  | {
    readonly type: "read";
    readonly id: number;
    readonly name: string;
    readonly bytes: ArrayBuffer;
  }
  /** Keeps a run of this page as number `id`; answers with a {@linkcode FileSummary}. */
  | { readonly type: "take"; readonly id: number; readonly name: string; readonly file: ResultFile }
  | { readonly type: "forget"; readonly id: number }
  /** Compares the files `ids`; answers with a {@linkcode Comparison}. The first is the baseline. */
  | { readonly type: "compare"; readonly ids: readonly number[]; readonly threshold: number }
  /** Answers with the text of the last comparison, in the format `form`. */
  | { readonly type: "write"; readonly form: "markdown" | "json" | "csv" }
  /** Answers with the run `file` as the text of a result file. */
  | { readonly type: "format"; readonly name: string; readonly file: ResultFile };

/** A file's entry in the list. */
export interface FileSummary {
  readonly adapter: string;
  readonly label: string;
  readonly runtime: string;
  readonly date: string;
  readonly measurements: number;
}

/** Returns the function that receives the page's questions about files and answers them. */
export function compareHere(): (message: unknown) => void {
  const files = new Map<number, NamedResult>();
  let last: Comparison | undefined;
  function keep(id: number, result: NamedResult): FileSummary {
    files.set(id, result);
    const { file } = result;
    return {
      adapter: adapterName(file),
      label: file.label ?? "",
      runtime: file.runtime.name,
      date: file.date.slice(0, 10),
      measurements: file.measurements.length,
    };
  }
  return answerWith((question: CompareQuestion): unknown => {
    switch (question.type) {
      case "read":
        return keep(question.id, { name: question.name, file: read(question) });
      case "take": {
        const { id, name, file } = question;
        // The run goes through the same checks as a file from the disk.
        return keep(id, { name, file: parseResultFile(formatResultFile(file, name), name) });
      }
      case "forget":
        return void files.delete(question.id);
      case "compare": {
        const { ids, threshold } = question;
        last = compareResultFiles(ids.map((id) => files.get(id)!), { threshold });
        return last;
      }
      case "write":
        return write(last!, question.form);
      case "format":
        return formatResultFile(question.file, question.name);
    }
  });
}

function read({ name, bytes }: { readonly name: string; readonly bytes: ArrayBuffer }): ResultFile {
  const complain = (problem: string): never => {
    throw new FileError(escapeTerminal(`${truncate(name, 300)}: ${problem}`));
  };
  if (bytes.byteLength > MAXIMUM_FILE_BYTES) {
    complain(`is larger than ${MAXIMUM_FILE_BYTES / 2 ** 20} MiB`);
  }
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    complain("is not UTF-8 text");
  }
  return parseResultFile(text, name);
}

function write(comparison: Comparison, form: "markdown" | "json" | "csv"): string {
  if (form === "markdown") return formatComparisonMarkdown(comparison);
  return form === "json" ? formatComparisonJson(comparison) : formatComparisonCsv(comparison);
}
