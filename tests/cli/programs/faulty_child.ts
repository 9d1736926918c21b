/**
 * A measuring process whose kernels fail in different ways:
 *
 * | kernel, pass | what it does |
 * |---|---|
 * | rms-norm forward | computes wrong numbers (another epsilon) |
 * | rms-norm backward | works |
 * | v-scale forward | never ends on the GPU |
 * | v-scale backward | ends the process |
 * | attention-sink-statistics forward | does not compile |
 */
import { openGpu, Plan } from "../../../mod.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { processClocks, writeLine } from "../../../src/measure/child/io.ts";
import { readLines } from "../../../src/files/json_lines.ts";
import type { ChildRequest } from "../../../src/measure/child/protocol.ts";
import { serve } from "../../../src/measure/child/server.ts";
import {
  createWorkload,
  type Workload,
  type WorkloadOptions,
} from "../../../src/measure/workloads.ts";

const endless = `
@group(0) @binding(0) var<uniform> seed: u32;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(1)
fn main() {
  var x = seed | 1u;
  while (x != 0u) { // an odd number times an odd number is odd
    x *= 1664525u;
  }
  output[0] = x;
}
`;

function planOf(gpu: Gpu, source: string): Plan {
  const output = gpu.storage(4);
  return new Plan(gpu, {
    operator: "faulty",
    cost: { flops: 1, bytes: 4 },
    scratch: [output],
    dispatches: [{
      kernel: { parts: [{ file: "faulty.wgsl", source }] },
      parameters: [{ u32: 1 }],
      buffers: [output],
      workgroups: [1],
    }],
  });
}

function faulty(gpu: Gpu, options: WorkloadOptions): Workload {
  const name = `${options.kernel} ${options.pass}`;
  gpu.pipelines.rewrite = ({ file, source }) =>
    name === "rms-norm forward" && file === "rms_norm/inverse.wgsl"
      ? source.replaceAll("parameters.epsilon", "(parameters.epsilon + 0.5)")
      : source;
  const workload = createWorkload(gpu, options);
  const check = async (): Promise<never> => {
    if (name === "v-scale backward") Deno.exit(9);
    const source = name === "v-scale forward" ? endless : endless.replace("= x;", "= missing;");
    gpu.run(planOf(gpu, source));
    await gpu.sync();
    throw new Error("the fault did not show");
  };
  return name.startsWith("rms-norm") ? workload : { ...workload, check };
}

await serve({
  requests: readLines<ChildRequest>(Deno.stdin.readable),
  write: writeLine,
  clocks: processClocks(),
  openGpu,
  createWorkload: faulty,
});
Deno.exit(0);
