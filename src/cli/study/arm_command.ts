/**
 * How the study starts a run: as a process with the permissions that its own folder and the GPU
 * take.
 */
import { join } from "node:path";
import { armName, type StudyArm } from "../../experiments/study/arms.ts";
import type { StudyScale } from "../../experiments/study/settings.ts";
import type { ChildCommand } from "../../processes.ts";
import { childCommand, describeSuite } from "../shared/machine.ts";
import { adapterOption } from "../shared/options.ts";
import type { RunOrder } from "./run.ts";

/**
 * Prepares to start runs.
 *
 * @param study where its runs go, and what they share
 * @returns how to start an arm's run
 */
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

/** A path in a flag's list, where commas part entries and are doubled to be themselves. */
function listed(path: string): string {
  return path.replaceAll(",", ",,");
}
