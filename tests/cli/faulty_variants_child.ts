/**
 * A measuring process in which some kernels of RMSNorm forward fail, each in a way of its own:
 *
 * | variant | what it does |
 * |---|---|
 * | subgroup | never ends on the GPU |
 * | vectorised | ends the process |
 * | row-per-invocation, portable | right |
 *
 * and of RMSNorm backward, `row-per-invocation` computes nothing, which is fast and wrong.
 */
import { processClocks, writeLine } from "../../src/measure/child_io.ts";
import { type ChildRequest, readLines } from "../../src/measure/child_protocol.ts";
import { serve } from "../../src/measure/child_server.ts";
import {
  createWorkload,
  type Workload,
  type WorkloadOptions,
} from "../../src/measure/workloads.ts";
import { openGpu } from "../../src/ops/open_gpu.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";

// An odd number times an odd number is odd.
const endless =
  "var odd = parameters.rows | 1u; while (odd != 0u) { odd *= 1664525u; } output[0] = Element(f32(odd));";

function faulty(gpu: Gpu, options: WorkloadOptions): Workload {
  const { pass, variant } = options;
  gpu.pipelines.rewrite = ({ file, source }) => {
    const main = /(fn main\([^{]*\{)/;
    if (pass === "forward" && variant === "subgroup" && file.startsWith("rms_norm")) {
      return source.replace(main, `$1 ${endless}`);
    }
    if (pass === "backward" && variant === "row-per-invocation" && file.startsWith("rms_norm")) {
      return source.replace(main, "$1 if (parameters.rows > 0u) { return; }");
    }
    return source;
  };
  const workload = createWorkload(gpu, options);
  if (pass !== "forward" || variant !== "vectorised") return workload;
  return { ...workload, check: () => Deno.exit(9) };
}

await serve({
  requests: readLines<ChildRequest>(Deno.stdin.readable),
  write: writeLine,
  clocks: processClocks(),
  openGpu,
  createWorkload: faulty,
});
Deno.exit(0);
