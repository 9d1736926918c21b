/** On a hardware GPU, neither the defaults nor tuning choose variants made for the CPU. */
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { candidatesText } from "../../../src/ops/tuning/choices.ts";
import { tunableOperators } from "../../../src/ops/tuning/operators.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { info, sampleLengths, softwareInfo } from "../../support/tuned_choice.ts";

const forCpu = /^(subgroup-\d+|barrier-free|panels.*|row-per-invocation)$/;
const reason = "made for adapters that compute on the CPU";
// Has subgroups of eight lanes, because variants may be unfit if the subgroup size is unknown.
const hardwareInfo = { ...softwareInfo, software: false };

Deno.test("kernels for the CPU are unfit on hardware, unless they are named", () => {
  using hardware = createDryGpu(hardwareInfo);
  using cpu = createDryGpu(softwareInfo);
  const seen = new Set<string>();
  for (const [operator, each] of tunableOperators) {
    const lengths = sampleLengths(operator);
    for (const variant of each.variants) {
      const where = `${operator} ${variant}`;
      const unfit = each.unfit(hardware, lengths, variant);
      if (!forCpu.test(variant)) {
        assertEquals(unfit, each.unfit(cpu, lengths, variant), where);
        continue;
      }
      if (each.unfit(cpu, lengths, variant) !== undefined) continue;
      seen.add(variant);
      assertStringIncludes(unfit ?? "", reason, where);
      assertEquals(each.unfit(hardware, lengths, variant, { named: true }), undefined, where);
      each.plan(hardware, lengths, variant).dispose();
    }
  }
  assertEquals([...seen].sort(), [
    "barrier-free",
    "panels",
    "panels-barrier-free",
    "row-per-invocation",
    "subgroup-16",
    "subgroup-32",
    "subgroup-8",
  ]);
});

Deno.test("tuning on hardware compiles no kernel for the CPU", () => {
  for (const [operator, each] of tunableOperators) {
    const lengths = sampleLengths(operator);
    for (const adapter of [info, hardwareInfo]) {
      using gpu = createDryGpu(adapter);
      const { candidates } = JSON.parse(candidatesText(gpu, each, lengths)) as {
        candidates: (readonly [string, unknown?])[][];
      };
      const planned = candidates.flat().filter(([, plan]) => plan !== undefined);
      assert(planned.length > 0, operator);
      assertEquals(planned.filter(([variant]) => forCpu.test(variant)), [], operator);
    }
  }
});
