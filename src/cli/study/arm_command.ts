/**
 * Builds the command that starts a run of the study: a process with only the permissions that its
 * folder, its text and the GPU need.
 */
import { join } from "node:path";
import { armName, type StudyArm } from "../../experiments/study/arms.ts";
import type { StudyScale } from "../../experiments/study/settings.ts";
import type { ChildCommand } from "../../processes.ts";
import { childCommand, describeSuite } from "../shared/machine.ts";
import { adapterOption } from "../shared/options.ts";
import type { RunOrder } from "./run.ts";

/** Makes the commands of arms. */
export async function armCommand(
  { scale, out, adapter }: {
    readonly scale: StudyScale;
    readonly out: string;
    readonly adapter?: string;
  },
): Promise<(arm: StudyArm) => ChildCommand> {
  const { command, args } = childCommand(
    { runtime: "deno", adapter },
    new URL("./run.ts", import.meta.url),
  );
  const suite = await describeSuite();
  const [module, ...rest] = args.toReversed();
  const flags = rest.toReversed();
  return (arm) => {
    const folder = join(out, armName(arm));
    const order: RunOrder = { arm, scale, folder, suite, ...adapterOption(adapter) };
    const reads = [folder, ...scale.corpus === undefined ? [] : [scale.corpus]].map(listed);
    return {
      command,
      args: [
        ...flags,
        ...reads.map((path) => `--allow-read=${path}`),
        `--allow-write=${listed(folder)}`,
        module!,
        JSON.stringify(order),
      ],
    };
  };
}

/** Writes a path for a flag's list: commas separate entries, so a comma in the path is doubled. */
function listed(path: string): string {
  return path.replaceAll(",", ",,");
}
