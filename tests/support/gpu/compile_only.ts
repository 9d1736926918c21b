import type { Gpu, Plan } from "../../../mod.ts";
import { createDryGpu, recordPlan } from "../../../src/gpu/dry_gpu.ts";
import { assertEquals } from "../assert/assert.ts";

/**
 * Compiles the kernels that a function plans, and runs none. On SwiftShader only the runtime checks
 * their WGSL, because SwiftShader's driver takes up to half a minute to compile one kernel to
 * machine code.
 *
 * @param plan plans on the given Gpu, shows each plan to `visit`, and disposes of what it made
 */
export async function compileOnly(
  gpu: Gpu,
  plan: (gpu: Gpu, visit: (plan: Plan) => void) => void,
): Promise<void> {
  if (!/swiftshader/i.test(gpu.info.description)) {
    plan(gpu, () => {});
    return gpu.sync();
  }
  const dry = createDryGpu(gpu.info);
  dry.pipelines.rewrite = (part) => gpu.pipelines.rewrite(part);
  const texts = new Set<string>();
  plan(dry, (made) => {
    for (const { code } of recordPlan(made).dispatches) texts.add(code);
  });
  for (const code of texts) {
    const { messages } = await gpu.device.createShaderModule({ code }).getCompilationInfo();
    const errors = messages.filter(({ type }) => type === "error").map(({ message }) => message);
    assertEquals(errors, []);
  }
}
