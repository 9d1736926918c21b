/** Reads runs for reports. */
import { basename, resolve } from "node:path";
import { RunError } from "./error.ts";
import { metricsPath, readRunSettings } from "./folder.ts";
import { type MetricsRow, readMetrics } from "./metrics.ts";
import type { RunSettings } from "./settings.ts";

/** A run on disk, finished or not. */
export interface StoredRun {
  /** The folder's last part, or its whole path if several runs share the last part. */
  readonly name: string;
  readonly settings: RunSettings;
  readonly rows: readonly MetricsRow[];
}

/**
 * Reads runs.
 *
 * @throws {RunError} if a folder holds no run, or has no metrics yet
 */
export async function readRuns(folders: readonly string[]): Promise<StoredRun[]> {
  const short = folders.map((folder) => basename(resolve(folder)));
  const runs: StoredRun[] = [];
  for (const [i, folder] of folders.entries()) {
    const settings = await readRunSettings(folder);
    const rows = await readMetrics(metricsPath(folder));
    if (rows.length === 0) throw new RunError(`${folder}: has no metrics yet`);
    const unique = short.filter((name) => name === short[i]).length === 1;
    runs.push({ name: unique ? short[i]! : folder, settings, rows });
  }
  return runs;
}
