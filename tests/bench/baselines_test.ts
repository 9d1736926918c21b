import type { KernelPart } from "../../mod.ts";
import { kernels as naiveKernels } from "../../bench/baselines/kernels.ts";
import { naive } from "../../bench/baselines/naive.ts";
import type { PassName } from "../../src/measure/workloads/operator.ts";
import {
  type OperatorName,
  operatorNames,
  passesOf,
  passNamed,
} from "../../src/measure/workloads/operators.ts";
import { createWorkload, type WorkloadOptions } from "../../src/measure/workloads.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { oddShape, smallShapes } from "../measure/workloads/small_shapes.ts";
import { onEachRuntime, siblingGpu, testGpu } from "../support/gpu.ts";

const implementations = [naive];

/** The passes that the baselines compute. */
const passes = operatorNames
  .flatMap((kernel) => passesOf(kernel).map((pass) => ({ kernel, pass })))
  .filter(({ kernel, pass }) => naive.planners.has(passNamed(kernel, pass).plan));

function work(
  kernel: OperatorName,
  pass: PassName,
  dimensions: Readonly<Record<string, number>>,
): WorkloadOptions {
  const shape = { name: "odd", dimensions };
  return { kernel, pass, shape, variant: "naive", implementations, seed: 11 };
}

// check() compares with the float64 twin. Its tolerances are the accuracy goals of the fused
// operators.
onEachRuntime("naive computes its operators as the twin does, at the same cost", async (gpu) => {
  let share = 0;
  let worst = "";
  let cases = 0;
  assertEquals(
    new Set(passes.map(({ kernel, pass }) => passNamed(kernel, pass).plan)).size,
    naive.planners.size,
  );
  for (const { kernel, pass } of passes) {
    for (const dimensions of smallShapes(kernel)) {
      // At T = 1 the gradients of query and key are zero up to rounding: there is nothing to
      // compare.
      if (pass === "backward" && dimensions.T === 1 && "Hq" in dimensions) continue;
      const options = work(kernel, pass, dimensions);
      using workload = createWorkload(gpu, options);
      const { error, tolerance, output } = await workload.check();
      const what = `${kernel} ${pass} ${JSON.stringify(dimensions)}: ${output}`;
      assert(error <= tolerance, `${what} is off by ${error}`);
      if (error / tolerance > share) [share, worst] = [error / tolerance, what];
      using fused = createWorkload(gpu, { ...options, variant: "portable" });
      assertEquals(workload.cost, fused.cost);
      cases++;
    }
  }
  console.log(`    ${cases} cases, ${share.toPrecision(2)} of the tolerance used (${worst})`);
});

interface Mutant {
  readonly kernel: OperatorName;
  readonly pass: PassName;
  readonly find: string;
  readonly replace: string;
}

function mutant(what: string, find: string, replace: string): Mutant {
  const [kernel, pass] = what.split(" ") as [OperatorName, PassName];
  return { kernel, pass, find, replace };
}

// Every baseline kernel, broken.
const mutants: Readonly<Record<string, Mutant>> = {
  "attention/column_statistics.wgsl": mutant(
    "attention-sink-statistics forward",
    "t < p",
    "t <= p",
  ),
  "attention/logit_gradient.wgsl": mutant(
    "attention backward",
    "- rowDot[row]",
    "- 0.9 * rowDot[row]",
  ),
  "attention/product.wgsl": mutant("attention forward", "j <= t; j++", "j < t; j++"),
  "attention/scores.wgsl": mutant("attention forward", "/ groupSize", "/ (groupSize + 1u)"),
  "attention/sink.wgsl": mutant("attention-sink-logit forward", "exp(without - all)", "1.0"),
  "attention/sink_gradient.wgsl": mutant("attention-sink-logit backward", "sum -= ", "sum += "),
  "attention/softmax.wgsl": mutant("attention forward", "sequenceLength + 1u", "sequenceLength"),
  "attention/transposed_product.wgsl": mutant("attention backward", "t = j;", "t = j + 1u;"),
  "attention/weights.wgsl": mutant(
    "attention backward",
    "- logSumExp[row]",
    "- 0.99 * logSumExp[row]",
  ),
  "rows/multiply.wgsl": mutant("rms-norm backward", "b[i]", "abs(b[i])"),
  "rows/multiply_vector.wgsl": mutant("rms-norm forward", "i / parameters.columns", "0u"),
  "rows/rms_norm_input_gradient.wgsl": mutant(
    "rms-norm backward",
    "mean[row] *",
    "0.99 * mean[row] *",
  ),
  "rows/rms_norm_inverse.wgsl": mutant("rms-norm forward", "+ parameters.epsilon", "+ 1e-4"),
  "rows/dot.wgsl": mutant("v-scale forward", "i = first;", "i = first + 1u;"),
  "rows/mean_product.wgsl": mutant("rms-norm backward", "/ f32(parameters.columns)", "/ 64.0"),
  "rows/v_scale_apply.wgsl": mutant("v-scale forward", "/ parameters.sequenceLength %", "%"),
  "rows/v_scale_constant_sum.wgsl": mutant("v-scale backward", "sum -= r", "sum += r"),
  "rows/v_scale_value_gradient.wgsl": mutant("v-scale backward", "2.0 * C", "C"),
};

Deno.test("naive fails its check if any of its kernels is broken", async () => {
  const gpu = await testGpu("deno");
  const files = new Set(Object.values(naiveKernels).map(({ parts }) => parts.at(-1)!.file));
  assertEquals(new Set(Object.keys(mutants)), files);
  for (const [file, { kernel, pass, find, replace }] of Object.entries(mutants)) {
    const mutated = siblingGpu(gpu, {});
    let broken = 0;
    mutated.pipelines.rewrite = (part: KernelPart): string => {
      if (part.file !== file) return part.source;
      assert(part.source.includes(find), `${file} has no ${find}`);
      broken++;
      return part.source.replaceAll(find, replace);
    };
    using workload = createWorkload(mutated, work(kernel, pass, oddShape(kernel)));
    const { error, tolerance } = await workload.check();
    assert(broken > 0, `${kernel} ${pass} does not use ${file}`);
    assert(
      !(error <= tolerance),
      `${kernel} ${pass} passes with ${replace} for ${find} in ${file}`,
    );
  }
});

Deno.test("naive fails its check if an output is not written, even after a good run", async () => {
  const gpu = await testGpu("deno");
  const idle = siblingGpu(gpu, {});
  idle.pipelines.rewrite = ({ file, source }) =>
    file === "rows/v_scale_apply.wgsl" ? source.replace("if (i >=", "if (i < 64u || i >=") : source;
  using workload = createWorkload(idle, work("v-scale", "forward", { B: 1, Hkv: 1, T: 9, D: 32 }));
  assertEquals((await workload.check()).error, Infinity);
});

Deno.test("naive throws if the T × T matrix does not fit, and frees everything", async () => {
  const gpu = await testGpu("deno");
  const dimensions = { B: 1, Hq: 2, Hkv: 1, T: 64, D: 32 };
  const bytes = 4 * 2 * 64 * 64; // of both heads' T × T matrices; the query has half as many
  const limits = { maxStorageBufferBindingSize: bytes - 4, maxBufferSize: bytes - 4 };
  const small = siblingGpu(gpu, { limits });
  for (const pass of ["forward", "backward"] as const) {
    assertThrows(
      () => createWorkload(small, work("attention", pass, dimensions)),
      RangeError,
      `${bytes} bytes`,
    );
    assertEquals(small.memory, { buffers: 0, bytes: 0 });
    using fused = createWorkload(small, {
      ...work("attention", pass, dimensions),
      variant: "portable",
    });
    assert(fused.plan.dispatches > 0);
  }
  await gpu.sync();
});

onEachRuntime("naive frees everything", async (gpu) => {
  const sibling = siblingGpu(gpu, {});
  for (const { kernel, pass } of passes) {
    createWorkload(sibling, work(kernel, pass, smallShapes(kernel)[1]!)).dispose();
    assertEquals(sibling.memory, { buffers: 0, bytes: 0 }, `${kernel} ${pass}`);
  }
  await gpu.sync();
});
