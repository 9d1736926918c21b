/** `--resume`: decides which files can be continued. */
import { machineDifferences } from "../../measure/comparison/machine.ts";
import type { ResultFile } from "../../measure/result_file.ts";
import { readResultFile } from "../../measure/result_file/store.ts";
import { UsageError } from "../shared/arguments.ts";

/**
 * Reads a file to continue.
 *
 * @param path the file
 * @throws {FileError} if it cannot be read
 * @throws {UsageError} if it is complete, or was measured with `--beside`
 */
export async function readResumed(path: string): Promise<ResultFile> {
  const file = await readResultFile(path);
  if (file.status !== "incomplete") throw new UsageError(`--resume: ${path} is complete`);
  if (file.settings.jointRun !== undefined) {
    throw new UsageError(
      `--resume: ${path} was measured with --beside, and such a run cannot be continued: begin a ` +
        "new one",
    );
  }
  return file;
}

/**
 * Refuses to continue a file of another version or commit, because its kernels may differ.
 *
 * @param before the file's suite
 * @param now this suite
 * @throws {UsageError} if their versions or commits differ
 */
export function refuseOtherSuite(before: ResultFile["suite"], now: ResultFile["suite"]): void {
  if (before.version !== now.version) {
    throw new UsageError(
      `--resume: the file was made by version ${before.version}, this is ${now.version}`,
    );
  }
  if (before.commit !== now.commit) {
    const [old, own] = [before, now].map(({ commit }) => commit ?? "unknown");
    throw new UsageError(
      `--resume: the file was made at commit ${old}, this is ${own}; ` +
        "check that commit out again, or begin a new file",
    );
  }
}

/**
 * Refuses to continue a file of another machine or runtime.
 *
 * @param before the file to continue
 * @param now the start of a new file
 * @throws {UsageError} if their machines or runtimes differ
 */
export function refuseOtherMachine(before: ResultFile, now: ResultFile): void {
  const versions = [before, now].map(({ runtime }) =>
    [runtime.version, runtime.webgpuVersion].filter(Boolean).join(" with webgpu ")
  );
  const differences = [
    // Without `--label` the new run has no label, so use the label of the file.
    ...machineDifferences(before, { ...now, ...before.label ? { label: before.label } : {} }),
    ...versions[0] === versions[1]
      ? []
      : [`version of the runtime: "${versions[0]}", not "${versions[1]}"`],
  ];
  if (differences.length > 0) {
    throw new UsageError(
      `--resume: the file was measured on another machine. ${differences.join("; ")}`,
    );
  }
}
