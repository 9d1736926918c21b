/**
 * The measuring process. The bench and tuning start it and exchange JSON lines with it. They run
 * this file, or for a custom operator a program that calls `runChild`.
 */
import { readLines } from "../files/json_lines.ts";
import type { ChildRequest } from "./child/protocol.ts";
import { serve } from "./child/server.ts";
import { processClocks, writeLine } from "./child/io.ts";
import { openGpu } from "../ops/open_gpu.ts";
import { addCustomOperator, type CustomOperator } from "./custom_operator.ts";
import { createWorkload } from "./workloads.ts";

/** A user's custom operator. */
export interface OperatorSource {
  /** Identifies the version of the file. */
  readonly digest: string;
  /** Imports the file. */
  readonly load: () => Promise<unknown>;
}

/**
 * Serves the bench until the bench ends or a request fails, then exits.
 *
 * @param source a custom operator to measure
 */
export async function runChild(source?: OperatorSource): Promise<never> {
  // Ctrl-C reaches every process of the terminal. This one ignores it, because the bench decides
  // what to do and sends a request on stdin.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGINT", () => {});
  await serve({
    requests: readLines<ChildRequest>(Deno.stdin.readable),
    write: writeLine,
    clocks: processClocks(),
    openGpu,
    createWorkload,
    ...source === undefined ? {} : {
      async loadOperator() {
        // The cast checks nothing; addCustomOperator checks the exports.
        const exported = await source.load().catch(explain) as CustomOperator;
        return addCustomOperator(exported, { digest: source.digest });
      },
    },
  });
  Deno.exit(0); // A driver's threads would keep the process alive.
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
