/** `deno task page:build`: builds the page without serving it. */
import { formatOptions, parseArguments, UsageError } from "../../src/cli/shared/arguments.ts";
import { runCommand } from "../../src/cli/shared/command.ts";
import { help } from "../../src/cli/shared/options.ts";
import { type CommandOutput, standardOutput } from "../../src/cli/shared/output.ts";
import { buildPage, distribution } from "./build.ts";

const options = { help } as const;

const helpText = `Builds the page that measures in a browser, as static files in bench/browser/dist.

Usage: deno task page:build

The command replaces the folder. Any web server can then serve it; deno task page builds and serves it on this machine.

${formatOptions(options)}
Exit codes:
  0    the page is built
  1    the page cannot be built
  2    a mistake in the command line
`;

/**
 * Runs the command.
 *
 * @param args the words after `page:build`
 * @param build builds the page and returns the bytes of its scripts; tests replace it
 * @returns the exit code: 0 if the page is built or help is shown, 1 if building fails, 2 for wrong
 *   usage
 */
export async function pageBuild(
  args: readonly string[],
  output: CommandOutput,
  build: () => Promise<number> = buildAndMeasure,
): Promise<number> {
  return await runCommand(
    {
      name: "page:build",
      parse(given) {
        const { switches, operands: [extra] } = parseArguments(given, { options });
        if (switches.help) return undefined;
        if (extra !== undefined) {
          throw new UsageError(`unexpected ${JSON.stringify(extra)}: page:build takes no operands`);
        }
        return {};
      },
      help: () => helpText,
      async run() {
        const size = (await build() / 1000).toFixed(0);
        output.out(`Built bench/browser/dist, with ${size} kB of script\n`);
        return 0;
      },
    },
    args,
    output,
  );
}

async function buildAndMeasure(): Promise<number> {
  await buildPage();
  let bytes = 0;
  for await (const { name, isFile } of Deno.readDir(distribution)) {
    if (isFile && name.endsWith(".js")) {
      bytes += (await Deno.stat(new URL(name, distribution))).size;
    }
  }
  return bytes;
}

if (import.meta.main) Deno.exitCode = await pageBuild(Deno.args, standardOutput());
