/**
 * The process that measures: `deno run child.ts` beside the bench, which talks to it in JSON lines.
 */
import { readLines } from "../files/json_lines.ts";
import type { ChildRequest } from "./child/protocol.ts";
import { serve } from "./child/server.ts";
import { processClocks, writeLine } from "./child/io.ts";
import { openGpu } from "../ops/open_gpu.ts";
import { createWorkload } from "./workloads.ts";

// Ctrl-C reaches every process of the terminal; the bench decides what it means, and says so on
// stdin.
if (Deno.build.os !== "windows") Deno.addSignalListener("SIGINT", () => {});
await serve({
  requests: readLines<ChildRequest>(Deno.stdin.readable),
  write: writeLine,
  clocks: processClocks(),
  openGpu,
  createWorkload,
});
Deno.exit(0); // a driver's threads and open handles must not keep it
