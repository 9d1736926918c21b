import type { KernelPart } from "../../mod.ts";
import { kernels as naiveKernels } from "../../bench/baselines/kernels.ts";
import { naive } from "../../bench/baselines/naive.ts";
import {
  type KernelName,
  kernelPasses,
  type PassName,
} from "../../src/measure/workloads/shapes.ts";
import { createWorkload, type WorkloadOptions } from "../../src/measure/workloads.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { onEachRuntime, siblingGpu, testGpu } from "../support/gpu.ts";

const names = Object.keys(kernelPasses) as KernelName[];
const implementations = [naive];

// Lengths beside the tiles' edges, groups of query heads, several sequences, and a single number.
const attentionShapes = [
  { B: 1, Hq: 1, Hkv: 1, T: 1, D: 4 },
  { B: 2, Hq: 6, Hkv: 2, T: 17, D: 20 },
  { B: 1, Hq: 4, Hkv: 1, T: 65, D: 64 },
  { B: 1, Hq: 2, Hkv: 2, T: 100, D: 128 },
];
const rowShapes = [{ rows: 1, d: 4 }, { rows: 3, d: 65 }, { rows: 130, d: 7 }];

function shapes(kernel: KernelName): readonly Readonly<Record<string, number>>[] {
  if (kernel === "rms-norm") return rowShapes;
  if (kernel === "matmul") return [{ B: 1, M: 3, N: 5, K: 2 }, { B: 2, M: 17, N: 20, K: 9 }];
  if (kernel !== "v-scale") return attentionShapes;
  return attentionShapes.map(({ B, Hkv, T, D }) => ({ B, Hkv, T, D }));
}

function work(
  kernel: KernelName,
  pass: PassName,
  dimensions: Readonly<Record<string, number>>,
): WorkloadOptions {
  const shape = { name: "odd", dimensions };
  return { kernel, pass, shape, variant: "naive", implementations, seed: 11 };
}

// check() compares with the float64 twin; its tolerances are the accuracy goals of the fused operators.
onEachRuntime("naive computes every operator as the twin does, at the same cost", async (gpu) => {
  let share = 0;
  let worst = "";
  let cases = 0;
  for (const kernel of names) {
    for (const pass of kernelPasses[kernel]) {
      for (const dimensions of shapes(kernel)) {
        // At T = 1 the gradients of query and key are zero, exactly or by rounding: nothing to compare.
        if (pass === "backward" && dimensions.T === 1 && kernel !== "v-scale") continue;
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
  }
  console.log(`    ${cases} cases, ${share.toPrecision(2)} of the tolerance used (${worst})`);
});

interface Mutant {
  readonly kernel: KernelName;
  readonly pass: PassName;
  readonly find: string;
  readonly replace: string;
}

function mutant(what: string, find: string, replace: string): Mutant {
  const [kernel, pass] = what.split(" ") as [KernelName, PassName];
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

Deno.test("naive fails its check wherever one of its kernels is broken", async () => {
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
    const dimensions = kernel === "rms-norm"
      ? { rows: 70, d: 65 }
      : kernel === "v-scale"
      ? { B: 2, Hkv: 3, T: 70, D: 32 }
      : { B: 2, Hq: 4, Hkv: 2, T: 70, D: 32 };
    using workload = createWorkload(mutated, work(kernel, pass, dimensions));
    const { error, tolerance } = await workload.check();
    assert(broken > 0, `${kernel} ${pass} does not use ${file}`);
    assert(
      !(error <= tolerance),
      `${kernel} ${pass} passes with ${replace} for ${find} in ${file}`,
    );
  }
});

Deno.test("naive fails its check where an output is not written, also after a good run", async () => {
  const gpu = await testGpu("deno");
  const idle = siblingGpu(gpu, {});
  idle.pipelines.rewrite = ({ file, source }) =>
    file === "rows/v_scale_apply.wgsl" ? source.replace("if (i >=", "if (i < 64u || i >=") : source;
  using workload = createWorkload(idle, work("v-scale", "forward", { B: 1, Hkv: 1, T: 9, D: 32 }));
  assertEquals((await workload.check()).error, Infinity);
});

Deno.test("naive throws where the T × T matrix does not fit, and frees what it had", async () => {
  const gpu = await testGpu("deno");
  const dimensions = { B: 1, Hq: 2, Hkv: 1, T: 64, D: 32 };
  const bytes = 4 * 2 * 64 * 64; // of the matrix; query has half as many
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
  for (const kernel of names) {
    for (const pass of kernelPasses[kernel]) {
      createWorkload(sibling, work(kernel, pass, shapes(kernel)[1]!)).dispose();
      assertEquals(sibling.memory, { buffers: 0, bytes: 0 }, `${kernel} ${pass}`);
    }
  }
  await gpu.sync();
});
