/** `deno task adapters`: lists the GPUs that `--adapter` can choose. */
import { EMBEDDED, listCandidates } from "../gpu/adapter/candidates.ts";
import { formatTerminalTable } from "../report/table.ts";
import { formatOptions, type OptionSpecifications, parseArguments } from "./shared/arguments.ts";
import { runCommand } from "./shared/command.ts";
import { help, refuseOperands, runtime } from "./shared/options.ts";
import { type CommandOutput, standardOutput } from "./shared/output.ts";
import { enterUserFolder } from "./shared/place.ts";

const options = { runtime, help } as const satisfies OptionSpecifications;

const helpText = `Lists the GPUs that --adapter can choose, with their numbers.

Usage: deno task adapters [OPTIONS]

${formatOptions(options)}
bench, tune, train, sinks and study take --adapter=WHICH: a number of the list, part of a GPU's name, or embedded.
The environment variable GRADSINK_ADAPTER makes the same choice for every command and the tests;
openGpu({ adapter }) makes the choice in code. Two cards of one model cannot be told apart: hide one with a container,
a cluster's job scheduler (such as Slurm) or, for Mesa's drivers, DRI_PRIME.

Exit codes:
  0    listed
  1    no GPU was found
  2    a mistake in the command line
`;

/** Runs the command; returns its exit code. */
export async function listAdapters(
  args: readonly string[],
  output: CommandOutput,
): Promise<number> {
  return await runCommand(
    {
      name: "adapters",
      parse(given) {
        const { switches, values, operands } = parseArguments(given, { options });
        if (switches.help) return undefined;
        refuseOperands(operands, "adapters");
        return values;
      },
      help: () => helpText,
      async run({ runtime }) {
        const found = await listCandidates(runtime);
        const embedded = Deno.build.target === "x86_64-unknown-linux-gnu"
          ? [[EMBEDDED, "the SwiftShader that gradsink fetches once", "software"]]
          : [];
        const kind = (software: boolean | undefined) =>
          software === undefined ? "" : software ? "software" : "hardware";
        const rows = found.map(({ name, software }, i) => [String(i), name, kind(software)]);
        output.out(formatTerminalTable({
          columns: [{ title: "--adapter" }, { title: "GPU" }, { title: "kind" }],
          rows: [...rows, ...embedded],
        }, { color: output.color }));
        if (found.length > 0) return 0;
        output.err("adapters: no GPU driver is installed\n");
        return 1;
      },
    },
    args,
    output,
  );
}

if (import.meta.main) {
  enterUserFolder();
  // Exit explicitly: a driver's threads would keep the process alive.
  Deno.exit(await listAdapters(Deno.args, standardOutput()));
}
