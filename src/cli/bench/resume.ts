/** `--resume`: decides which files can be continued. */
import { claimFile } from "../../files/claim.ts";
import { machineDifferences } from "../../measure/comparison/machine.ts";
import type { ResultFile } from "../../measure/result_file.ts";
import { readResultFile } from "../../measure/result_file/store.ts";
import { UsageError } from "../shared/arguments.ts";

/** A file to continue. */
export interface ResumedFile {
  readonly file: ResultFile;
  /** Keeps other runs from continuing the file until the claim is disposed of. */
  readonly claim: Disposable;
}

/**
 * Reads a file to continue, and claims it.
 *
 * @throws {FileError} if it cannot be read or locked
 * @throws {UsageError} if it is complete, was measured with `--beside`, or another run adds to it
 */
export async function openResumed(path: string): Promise<ResumedFile> {
  await readResumed(path);
  const claim = await claimFile(path);
  if (claim === undefined) {
    throw new UsageError(`--resume: another run adds to ${path}; wait until that run ends`);
  }
  try {
    // Read the file again: another run may have added to it before this claim.
    return { file: await readResumed(path), claim };
  } catch (error) {
    claim[Symbol.dispose]();
    throw error;
  }
}

async function readResumed(path: string): Promise<ResultFile> {
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
 * @throws {UsageError} if versions or commits differ
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
 * @param now a new file of this machine and runtime, without measurements
 * @throws {UsageError} if machines or runtimes differ
 */
export function refuseOtherMachine(before: ResultFile, now: ResultFile): void {
  const versions = [before, now].map(({ runtime }) =>
    [runtime.version, runtime.webgpuVersion].filter(Boolean).join(" with webgpu ")
  );
  const differences = [
    // Without `--label`, take the file's own label.
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
