/**
 * `deno task check:results FILE…`: decides whether result files from strangers can be accepted.
 * Runs on every pull request.
 */
import { escapeTerminal } from "../escape.ts";
import { FileError } from "../files/file_error.ts";
import { checkPlausibility } from "../measure/result_file/plausibility.ts";
import { readResultFile } from "../measure/result_file/store.ts";
import { formatOptions, parseArguments, UsageError } from "./shared/arguments.ts";
import { runCommand } from "./shared/command.ts";
import { help } from "./shared/options.ts";
import { type CommandOutput, standardOutput } from "./shared/output.ts";
import { absolutePath, enterUserFolder } from "./shared/place.ts";

const options = { help } as const;

const helpText = `Checks result files of deno task bench before they are accepted.

Usage: deno task check:results FILE.json …

A file can be accepted if all of this holds:
  - It follows the schema, and its commit belongs to this repository.
  - The bench checked every answer that it timed, and found it right.
  - A GPU can reach the file's ceilings (the best measured rates), and no kernel is far above them.
  - The samples differ from each other, as times from a real clock do.

${formatOptions(options)}
Exit codes:
  0    all files can be accepted
  1    at least one file cannot
  2    a mistake in the command line
`;

/** Parts that tests replace. */
export interface CheckHooks {
  /**
   * Whether a commit belongs to this repository's history; undefined if unknown. Default: asks git.
   */
  readonly isKnown?: (commit: string) => Promise<boolean | undefined>;
  /** Milliseconds since 1970. Default: now. */
  readonly now?: number;
}

/** Runs the command; returns its exit code. */
export async function checkResults(
  args: readonly string[],
  output: CommandOutput,
  hooks: CheckHooks = {},
): Promise<number> {
  return await runCommand(
    {
      name: "check:results",
      parse: (given) => {
        const { switches, operands } = parseArguments(given, { options });
        if (switches.help) return undefined;
        if (operands.length === 0) throw new UsageError("no result file given");
        return { files: operands };
      },
      help: () => helpText,
      run: (request) => check(request.files, output, hooks),
    },
    args,
    output,
  );
}

async function check(
  files: readonly string[],
  output: CommandOutput,
  { isKnown = isAncestor, now = Date.now() }: CheckHooks,
): Promise<number> {
  let failed = 0;
  for (const name of files) {
    const { problems, notes } = await found(name, { isKnown, now });
    if (problems.length > 0) failed++;
    output.out(
      [
        `${name}: ${problems.length === 0 ? "can be accepted" : "cannot be accepted"}`,
        ...problems.map((problem) => `  ✗ ${problem}`),
        ...notes.map((note) => `  note: ${note}`),
      ].map((line) => `${escapeTerminal(line)}\n`).join(""),
    );
  }
  return failed === 0 ? 0 : 1;
}

async function found(
  name: string,
  { isKnown, now }: Required<CheckHooks>,
): Promise<{ problems: readonly string[]; notes: readonly string[] }> {
  try {
    const file = await readResultFile(absolutePath(name));
    const { problems, notes } = checkPlausibility(file, { now });
    const { commit } = file.suite;
    const known = commit !== null && /^[0-9a-f]{40}$/.test(commit)
      ? await isKnown(commit)
      : undefined;
    return {
      problems: known === false
        ? [...problems, `suite.commit ${commit} is not in this repository's history`]
        : problems,
      notes,
    };
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    return { problems: [error.message], notes: [] };
  }
}

/**
 * Asks git whether HEAD descends from this commit. Returns undefined without git's answer, or in a
 * shallow clone, which does not know all commits.
 */
async function isAncestor(commit: string): Promise<boolean | undefined> {
  const git = async (...args: string[]) => {
    try {
      return await new Deno.Command("git", { args, stderr: "null" }).output();
    } catch {
      return undefined;
    }
  };
  const shallow = await git("rev-parse", "--is-shallow-repository");
  if (shallow?.success !== true) return undefined;
  if (new TextDecoder().decode(shallow.stdout).trim() === "true") return undefined;
  return (await git("merge-base", "--is-ancestor", commit, "HEAD"))?.success;
}

if (import.meta.main) {
  enterUserFolder();
  Deno.exitCode = await checkResults(Deno.args, standardOutput());
}
