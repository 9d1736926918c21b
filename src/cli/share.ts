/** `deno task share FILE`: tells where to offer a result file to the project. Sends nothing. */
import { escapeTerminal } from "../escape.ts";
import { checkPlausibility } from "../measure/result_file/plausibility.ts";
import { formatResultFile } from "../measure/result_file/parse.ts";
import { readResultFile } from "../measure/result_file/store.ts";
import { formatOptions, parseArguments, UsageError } from "./shared/arguments.ts";
import { runCommand } from "./shared/command.ts";
import { help } from "./shared/options.ts";
import { type CommandOutput, standardOutput } from "./shared/output.ts";
import { absolutePath, enterUserFolder } from "./shared/place.ts";
import { checkRepository, projectRepository, shareLines } from "./shared/share.ts";

const options = { help } as const;

const helpText =
  `Prints an address where you can offer a result file to the project. Nothing is sent.

Usage: deno task share FILE.json

The file must be complete and pass deno task check:results.

${formatOptions(options)}
Exit codes:
  0    the address is printed
  1    the file cannot be read, is incomplete or not plausible
  2    a mistake in the command line, or this copy of gradsink names no repository
`;

/** Parts that tests replace. */
export interface ShareHooks {
  /** Default: the `repository` of deno.json. */
  readonly repository?: string | undefined;
  /** Milliseconds since 1970. Default: now. */
  readonly now?: number;
}

/** Runs the command; returns its exit code. */
export async function share(
  args: readonly string[],
  output: CommandOutput,
  { repository = projectRepository(), now = Date.now() }: ShareHooks = {},
): Promise<number> {
  return await runCommand(
    {
      name: "share",
      parse(given) {
        const { switches, operands: [file, extra] } = parseArguments(given, { options });
        if (switches.help) return undefined;
        if (file === undefined) {
          throw new UsageError("no result file is given: deno task share FILE.json");
        }
        if (extra !== undefined) {
          throw new UsageError(`unexpected ${JSON.stringify(extra)}: share takes one file`);
        }
        checkRepository(repository);
        return { file, repository };
      },
      help: () => helpText,
      async run({ file: path, repository }) {
        const file = await readResultFile(absolutePath(path));
        if (file.status === "incomplete") {
          throw new Error(
            `${path} is incomplete: deno task bench --resume=${path} goes on with it`,
          );
        }
        const { problems } = checkPlausibility(file, { now });
        for (const problem of problems) output.err(escapeTerminal(`share: ${problem}`) + "\n");
        if (problems.length > 0) return 1;
        output.out(shareLines(repository, { path, text: formatResultFile(file, path) }));
        return 0;
      },
    },
    args,
    output,
  );
}

if (import.meta.main) {
  enterUserFolder();
  Deno.exitCode = await share(Deno.args, standardOutput());
}
