/**
 * The process that measures: `deno run child.ts` beside the bench, which talks to it in JSON lines.
 */
import { readLines } from "../files/json_lines.ts";
import type { ChildRequest } from "./child/protocol.ts";
import { serve } from "./child/server.ts";
import { processClocks, writeLine } from "./child/io.ts";
import { openGpu } from "../ops/open_gpu.ts";
import { addCustomOperator, type CustomOperator } from "./custom_operator.ts";
import { createWorkload } from "./workloads.ts";

/** A custom operator of the user's. */
export interface OperatorSource {
  /** Tells versions of the file apart. */
  readonly digest: string;
  /** Imports the file. */
  readonly load: () => Promise<unknown>;
}

/**
 * Serves the bench until it ends.
 *
 * @param source a custom operator to measure
 */
export async function runChild(source?: OperatorSource): Promise<never> {
  // Ctrl-C reaches every process of the terminal; the bench decides what it means, and says so on
  // stdin.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGINT", () => {});
  await serve({
    requests: readLines<ChildRequest>(Deno.stdin.readable),
    write: writeLine,
    clocks: processClocks(),
    openGpu,
    createWorkload,
    ...source === undefined ? {} : {
      async loadOperator() {
        // Whatever it is, addCustomOperator checks it.
        const exported = await source.load().catch(explain) as CustomOperator;
        return addCustomOperator(exported, { digest: source.digest });
      },
    },
  });
  Deno.exit(0); // a driver's threads and open handles must not keep it
}

function explain(error: unknown): never {
  if (!(error instanceof Deno.errors.NotCapable)) throw error;
  throw new Error(
    `${error.message.replace(/, run again.*/s, "")}, which the measuring process does not have; ` +
      'import texts and data instead, as in: import wgsl from "./a.wgsl" with { type: "text" }',
    { cause: error },
  );
}

if (import.meta.main) await runChild();
