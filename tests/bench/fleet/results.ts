/** Reads the result files and pages that the examples write. */
import { DOMParser } from "linkedom";
import type { ResultFile } from "../../../src/measure/result_file.ts";
import { readIfThere } from "../../measure/result_file/if_there.ts";

/** A summary of a result file. */
export interface ResultStatus {
  readonly label: string | undefined;
  /** When the run began. A resumed run keeps this date. */
  readonly date: string;
  readonly status: ResultFile["status"];
  readonly measurements: number;
  /** The operators measured, each once. */
  readonly kernels: readonly string[];
}

/**
 * Reads a result file, which must be valid at every moment.
 *
 * @returns undefined if there is no file
 */
export async function resultStatus(path: string): Promise<ResultStatus | undefined> {
  const result = await readIfThere(path);
  if (result === undefined) return undefined;
  const { label, date, status, measurements } = result;
  const kernels = [...new Set(measurements.map(({ kernel }) => kernel))];
  return { label, date, status, measurements: measurements.length, kernels };
}

/** The text of a page's body, without scripts. */
export function textOfPage(html: string): string {
  const { body } = new DOMParser().parseFromString(html, "text/html");
  for (const script of body.querySelectorAll("script, style")) script.remove();
  return body.textContent ?? "";
}
