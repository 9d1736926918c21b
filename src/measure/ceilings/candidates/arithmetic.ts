/** Candidates that count multiply-adds and exponentials. */
import type { Gpu } from "../../../gpu/gpu.ts";
import type { Kernel, KernelPart } from "../../../gpu/pipelines.ts";
import { type Dispatch, Plan } from "../../../gpu/plan.ts";
import { ceilingExp } from "../../../../kernels/ceilings/exp.wgsl.ts";
import { ceilingFma, type CeilingFmaOptions } from "../../../../kernels/ceilings/fma.wgsl.ts";
import type { Candidate, CeilingSize } from "./candidate.ts";

// How often 1 is added to each accumulator. Accumulator j of invocation i begins at j + i mod 8, at
// most 22. So it ends at 1,046 at most. f16 represents all integers up to 2,048 exactly.
const STEPS = 1024;
/** How many steps a multiply-add kernel does in one iteration of its loop; divides `STEPS`. */
export const UNROLLED = 16;
// A value that no kernel here writes.
const POISON = -1;

interface Counting {
  readonly method: string;
  readonly invocations: number;
  readonly part: KernelPart;
  readonly parameters: Dispatch["parameters"];
  readonly workgroupSize: number;
  /** The number of operations of one invocation. */
  readonly operations: number;
  /** The number that an invocation must write, up to an error of `tolerance`. */
  readonly expected: (invocation: number) => number;
  readonly tolerance: number;
  readonly features?: NonNullable<Kernel["features"]>;
}

// A candidate whose kernel writes one number per invocation.
function countingCandidate(gpu: Gpu, counting: Counting): Candidate {
  const { method, part, parameters, workgroupSize, operations, expected, tolerance } = counting;
  const { invocations } = counting;
  const sums = gpu.storage(4 * invocations);
  const poisoned = new Float32Array(invocations).fill(POISON);
  const plan = new Plan(gpu, {
    operator: "ceilings",
    cost: { flops: operations * invocations, bytes: 4 * invocations },
    scratch: [sums],
    dispatches: [{
      kernel: { parts: [part], features: counting.features ?? [] },
      parameters,
      buffers: [sums],
      workgroups: [invocations / workgroupSize],
    }],
  });
  return {
    method,
    plan,
    work: operations * invocations,
    poison: () => gpu.device.queue.writeBuffer(sums, 0, poisoned),
    async fault() {
      const values = new Float32Array(await gpu.readBuffer(sums));
      const wrong = values.findIndex((sum, i) => !(Math.abs(sum - expected(i)) <= tolerance));
      return wrong < 0
        ? undefined
        : `invocation ${wrong} wrote ${values[wrong]}, wanted ${expected(wrong)}`;
    },
    dispose: () => plan.dispose(),
  };
}

/** A candidate of multiply-adds. */
export function fmaCandidate(
  gpu: Gpu,
  { invocations }: CeilingSize,
  options: CeilingFmaOptions,
): Candidate {
  const { accumulators, type, workgroupSize } = options;
  const components = type.startsWith("vec") ? 4 : 1;
  const chains = accumulators * components;
  const starts = components * accumulators * (accumulators - 1) / 2;
  return countingCandidate(gpu, {
    invocations,
    method: `${accumulators} ${type} accumulators, ${workgroupSize} invocations a workgroup`,
    part: { file: "ceilings/fma.wgsl.ts", source: ceilingFma(options) },
    parameters: [{ u32: STEPS / UNROLLED }, { f32: 1 }, { f32: 1 }],
    workgroupSize,
    operations: 2 * chains * STEPS,
    // Integers below 2^24, so they are exact.
    expected: (i) => chains * (STEPS + i % 8) + starts,
    tolerance: 0,
    features: type === "f16" || type === "vec4h" ? ["f16"] : [],
  });
}

/** A candidate of exponentials. */
export function expCandidate(
  gpu: Gpu,
  { invocations }: CeilingSize,
  accumulators: number,
): Candidate {
  const unrolled = 4;
  const rounds = 64;
  const steps = unrolled * rounds;
  const total = accumulators * steps + accumulators * (accumulators - 1) / 2;
  return countingCandidate(gpu, {
    invocations,
    method: `${accumulators} f32 accumulators`,
    part: {
      file: "ceilings/exp.wgsl.ts",
      source: ceilingExp({ accumulators, unrolled, workgroupSize: 64 }),
    },
    parameters: [{ u32: rounds }, { f32: 0 }],
    workgroupSize: 64,
    operations: accumulators * steps,
    expected: () => total,
    // WGSL allows exp(0) an error of three units in the last place, 3·2^-23. It allows an addition
    // to a number below 2^9 an error of half a unit, 2^-16. A missing step changes the sum by 1.
    tolerance: accumulators * steps * (3 * 2 ** -23 + 2 ** -16),
  });
}
