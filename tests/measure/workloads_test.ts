import { type Gpu, GpuError, type KernelPart } from "../../mod.ts";
import type { PassName, Shape } from "../../src/measure/workloads/operator.ts";
import {
  type OperatorName,
  operatorNames,
  passesOf,
  passNamed,
} from "../../src/measure/workloads/operators.ts";
import { replacing } from "../../src/measure/workloads/prepare.ts";
import { planRmsNormForward } from "../../src/ops/rms_norm.ts";
import { tunableOperators } from "../../src/ops/tuning/operators.ts";
import { createWorkload, type Workload } from "../../src/measure/workloads.ts";
import { chosenVariant, unfitVariants, variantsOf } from "../../src/measure/workloads/variants.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../support/assert/assert.ts";
import { oddShape } from "./workloads/small_shapes.ts";
import { onEachRuntime, siblingGpu, testGpu } from "../support/gpu.ts";

function work(
  kernel: OperatorName,
  pass: PassName,
): { kernel: OperatorName; pass: PassName; shape: Shape } {
  return { kernel, pass, shape: { name: "odd", dimensions: oddShape(kernel) } };
}

// The tolerances are the project's accuracy goals: 2e-6 for RMSNorm and V-scale forward, 1e-5 for
// everything else. Over the full software grid, lavapipe's errors use at most 0.26 of a tolerance.
onEachRuntime("createWorkload().check() passes for every kernel and pass", async (gpu) => {
  let share = 0;
  for (const kernel of operatorNames) {
    for (const pass of passesOf(kernel)) {
      using workload = createWorkload(gpu, { ...work(kernel, pass), seed: 5 });
      const { error, tolerance, output } = await workload.check();
      assert(error <= tolerance, `${kernel} ${pass}: ${output} is off by ${error}`);
      assert(error > 0, `${kernel} ${pass}: float32 agrees exactly with float64`);
      assert(workload.cost.flops > 0 && workload.cost.bytes > 0);
      assertEquals([workload.kernel, workload.pass, workload.variant], [kernel, pass, "portable"]);
      share = Math.max(share, error / tolerance);
    }
  }
  console.log(`    ${share.toPrecision(2)} of the tolerance used`);
});

interface Mutant {
  readonly kernel: OperatorName;
  readonly pass: PassName;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const mutants: readonly Mutant[] = [
  mutant("attention forward", "attention/forward.wgsl", "parameters.scale *", "0.98 *"),
  mutant("attention forward", "attention/forward.wgsl", "+ logarithm[i]", ""),
  mutant("attention-v-scale-full forward", "attention/tile.wgsl", "valve.x / (", "1.0 + 0.0 * ("),
  mutant(
    "attention-sink-logit forward",
    "attention/sink/forward.wgsl",
    "clamp(sinkLogit[head],",
    "clamp(0.0,",
  ),
  mutant("attention-sink-logit backward", "attention/sink/backward.wgsl", "sum -= ", "sum += "),
  mutant("matmul forward", "matmul/portable.wgsl", "min(STEP, parameters.inner - first)", "STEP"),
  mutant("attention backward", "attention/row_product.wgsl", "product.x;", "0.0;"),
  mutant(
    "attention-sink-statistics forward",
    "attention/sink_statistics.wgsl",
    "= exponential(",
    "= 1.001 * exponential(",
  ),
];

function mutant(what: string, file: string, find: string, replace: string): Mutant {
  const [kernel, pass] = what.split(" ") as [OperatorName, PassName];
  return { kernel, pass, file, find, replace };
}

// tests/bench/baselines_test.ts does the same for RMSNorm and V-scale, with the naive kernels.
Deno.test("createWorkload().check() fails for every broken kernel", async () => {
  const gpu = await testGpu("deno");
  for (const { kernel, pass, file, find, replace } of mutants) {
    let broken = 0;
    const rewrite = (part: KernelPart): string => {
      if (part.file !== file) return part.source;
      assert(part.source.includes(find), `${file} has no ${find}`);
      broken++;
      return part.source.replaceAll(find, replace);
    };
    const sibling = siblingGpu(gpu, {});
    // The check passes for the unbroken kernel.
    using workload = createWorkload(sibling, work(kernel, pass));
    assert((await workload.check()).error <= (await workload.check()).tolerance);
    const mutated = siblingGpu(gpu, {});
    mutated.pipelines.rewrite = rewrite;
    using suspect = createWorkload(mutated, work(kernel, pass));
    const { error, tolerance } = await suspect.check();
    assert(broken > 0, `${kernel} ${pass} does not use ${file}`);
    assert(
      !(error <= tolerance),
      `${kernel} ${pass} passes with ${replace} for ${find} in ${file}`,
    );
  }
});

Deno.test("createWorkload().check() rejects if the kernel does not compile", async () => {
  const gpu = await testGpu("deno");
  const faulty = siblingGpu(gpu, {});
  faulty.pipelines.rewrite = ({ source }) => source.replace("fn main(", "fn main(missing: None, ");
  using workload = createWorkload(faulty, work("rms-norm", "forward"));
  await assertRejects(() => workload.check(), GpuError, "rmsNormForward");
});

onEachRuntime("createWorkload() frees everything, also if it fails", async (gpu) => {
  const sibling = siblingGpu(gpu, {});
  for (const kernel of operatorNames) {
    for (const pass of passesOf(kernel)) {
      const workload = createWorkload(sibling, work(kernel, pass));
      assert(sibling.memory.buffers > 2);
      workload.dispose();
      assertEquals(sibling.memory, { buffers: 0, bytes: 0 }, `${kernel} ${pass}`);
    }
  }
  // The operator refuses this shape only after createWorkload() has made the inputs.
  const shape = { name: "uneven", dimensions: { B: 1, Hq: 3, Hkv: 2, T: 8, D: 32 } };
  for (const pass of ["forward", "backward"] as const) {
    assertThrows(
      () => createWorkload(sibling, { kernel: "attention", pass, shape }),
      TypeError,
      "wanted a number of heads that divides",
    );
    assertEquals(sibling.memory, { buffers: 0, bytes: 0 });
  }
  await gpu.sync();
});

Deno.test("every operator with several variants is measured, under its own name", () => {
  const measured = operatorNames.flatMap((kernel) =>
    passesOf(kernel).map((pass) => passNamed(kernel, pass).operator)
  );
  const missing = [...tunableOperators.keys()].filter((name) => !measured.includes(name));
  assertEquals(missing, []);
});

Deno.test("createWorkload() accepts implementations of only some operators", async () => {
  const gpu = await testGpu("deno");
  const half = {
    name: "half",
    planners: new Map([replacing(planRmsNormForward, planRmsNormForward)]),
  };
  const options = { variant: "half", implementations: [half] };
  createWorkload(gpu, { ...work("rms-norm", "forward"), ...options }).dispose();
  assertThrows(
    () => createWorkload(gpu, { ...work("rms-norm", "backward"), ...options }),
    RangeError,
    "variant of rms-norm backward is half, wanted one of ",
  );
});

Deno.test("createWorkload() throws for unknown variants, operators and passes", async () => {
  const gpu = await testGpu("deno");
  const sound = work("rms-norm", "forward");
  assertThrows(
    () => createWorkload(gpu, { ...sound, variant: "magic" }),
    RangeError,
    "variant of rms-norm forward is magic, wanted one of ",
  );
  assertThrows(
    () => createWorkload(gpu, { ...sound, kernel: "softmax" as OperatorName }),
    RangeError,
    "softmax forward, wanted one of attention forward",
  );
  assertThrows(
    () => createWorkload(gpu, { ...sound, kernel: "attention-sink-statistics", pass: "backward" }),
    RangeError,
  );
});

onEachRuntime(
  "createWorkload() runs every variant that fits, and the chosen one fits",
  async (gpu) => {
    let share = 0;
    const ran: string[] = [];
    for (const kernel of operatorNames) {
      for (const pass of passesOf(kernel)) {
        const options = work(kernel, pass);
        const chosen = chosenVariant(gpu, options);
        assert(variantsOf(kernel, pass).includes("portable"), `${kernel} ${pass}`);
        assert(variantsOf(kernel, pass).includes(chosen), chosen);
        for (const variant of variantsOf(kernel, pass)) {
          // Compilers take up to a minute for attention's other variants; tests/ops runs those.
          if (kernel.startsWith("attention") && variant !== chosen) continue;
          let workload: Workload;
          try {
            workload = createWorkload(gpu, { ...options, variant });
          } catch (error) {
            assert(error instanceof RangeError && variant !== chosen && variant !== "portable");
            assert(error.message.includes(`variant "${variant}" cannot run here`), error.message);
            continue;
          }
          const { error, tolerance, output } = await workload.check();
          workload.dispose();
          assert(error <= tolerance, `${kernel} ${pass} ${variant}: ${output} is off by ${error}`);
          assertEquals(workload.variant, variant);
          share = Math.max(share, error / tolerance);
          ran.push(variant);
        }
      }
    }
    assert(new Set(ran).size > 1, `only ${ran.join(", ")} ran`);
    console.log(`    ${ran.length} ran, ${share.toPrecision(2)} of the tolerance used`);
  },
);

// src/measure/workloads.ts derives f16's tolerance, 2^-8. Over the default software grid,
// lavapipe's errors use at most 0.23 of it.
const halves = [["matmul", "tiled-32-f16"], ["attention", "tiled-32x32-f16"]] as const;

Deno.test("createWorkload() names variants that round to f16, and checks them with f16's tolerance", async () => {
  const gpu = await testGpu("deno");
  for (const [kernel, variant] of halves) {
    const options = { ...work(kernel, "forward"), variant };
    const reason = unfitVariants(gpu, options, [variant])[variant];
    if (reason !== undefined) {
      assertThrows(() => createWorkload(gpu, options), RangeError, reason);
      continue;
    }
    using workload = createWorkload(gpu, options);
    const { error, tolerance } = await workload.check();
    assertEquals([workload.dtype, tolerance], ["f16+f32", 2 ** -8]);
    assert(error <= tolerance && error > 1e-5, `${kernel}: ${error}`); // it rounds to f16
    console.log(`    ${kernel}: ${(error / tolerance).toPrecision(2)} of the tolerance used`);
  }
});

Deno.test("createWorkload().check() finds a broken kernel in f16", async () => {
  const gpu = siblingGpu(await testGpu("deno"), {});
  gpu.pipelines.rewrite = ({ source }) => source.replaceAll("16384.0 * weight", "16600.0 * weight");
  const options = { ...work("attention", "forward"), variant: "tiled-32x32-f16" };
  using workload = createWorkload(gpu, options);
  const { error, tolerance } = await workload.check();
  assert(error > tolerance, `1.3 % too much passes: ${error}`);
});

Deno.test("unfitVariants() gives reasons for the operator's own variants only", () => {
  const features = {
    info: { software: true, features: [] },
    device: { features: new Set(), limits: {} },
  };
  const named = ["tiled-f16", "tiled-32x32-f16", "portable", "magic"];
  const gpu = features as unknown as Gpu;
  assertEquals(unfitVariants(gpu, work("matmul", "forward"), named), {
    "tiled-f16": "the adapter has no f16",
  });
  assertEquals(unfitVariants(gpu, work("rms-norm", "forward"), named), {});
});
