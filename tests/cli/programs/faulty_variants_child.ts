/**
 * A measuring process in which some variants of RMSNorm forward fail in different ways:
 *
 * | variant | what it does |
 * |---|---|
 * | subgroup | never answers (a kernel that never ends would also keep the processor busy) |
 * | vectorised | ends the process |
 * | row-per-invocation, portable | work |
 *
 * In RMSNorm backward, `row-per-invocation` computes nothing, which is fast and wrong.
 */
import { processClocks, writeLine } from "../../../src/measure/child/io.ts";
import { readLines } from "../../../src/files/json_lines.ts";
import type { ChildRequest } from "../../../src/measure/child/protocol.ts";
import { serve } from "../../../src/measure/child/server.ts";
import {
  createWorkload,
  type Workload,
  type WorkloadOptions,
} from "../../../src/measure/workloads.ts";
import { openGpu } from "../../../src/ops/open_gpu.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";

function faulty(gpu: Gpu, options: WorkloadOptions): Workload {
  const { pass, variant } = options;
  gpu.pipelines.rewrite = ({ file, source }) => {
    const main = /(fn main\([^{]*\{)/;
    if (pass === "backward" && variant === "row-per-invocation" && file.startsWith("rms_norm/")) {
      return source.replace(main, "$1 if (parameters.rows > 0u) { return; }");
    }
    return source;
  };
  const workload = createWorkload(gpu, options);
  if (pass !== "forward") return workload;
  if (variant === "subgroup") return { ...workload, check: () => new Promise(() => {}) };
  return variant === "vectorised" ? { ...workload, check: () => Deno.exit(9) } : workload;
}

await serve({
  requests: readLines<ChildRequest>(Deno.stdin.readable),
  write: writeLine,
  clocks: processClocks(),
  openGpu,
  createWorkload: faulty,
});
Deno.exit(0);
