/** The kernels of each ceiling, with their work and the check of their results. */
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import dispatchSource from "../../../kernels/ceilings/dispatch.wgsl" with { type: "text" };
import type { CeilingFmaOptions } from "../../../kernels/ceilings/fma.wgsl.ts";
import type { Candidate, CeilingSize } from "./candidates/candidate.ts";
import { expCandidate, fmaCandidate, UNROLLED } from "./candidates/arithmetic.ts";
import { copyCandidates, copyPlan } from "./candidates/copy.ts";

export type { Candidate, CeilingSize } from "./candidates/candidate.ts";

/** The ceilings that come from kernels. */
export type CeilingName = "f32Fma" | "f16Fma" | "copyBandwidth" | "expRate" | "dispatchOverhead";

/** A ceiling and the forms of its kernel. */
export interface CandidateGroup {
  /** The ceiling. */
  readonly name: CeilingName;
  /** Creates the candidates. Absent if the adapter lacks a feature that the ceiling needs. */
  readonly prepare?: () => Candidate[];
}

/** The numbers of independent accumulators to try. Each is one number or a vector of four. */
const ACCUMULATORS: readonly number[] = [1, 2, 4, 8, 16];

/**
 * The usual size of a dispatch. On a GPU: enough invocations to fill it many times over, and
 * buffers larger than most last-level caches, if the GPU allows them. On a CPU: a few milliseconds
 * of work.
 */
export function usualCeilingSize(gpu: Gpu): CeilingSize {
  const { software } = gpu.info;
  const allowed = Math.min(software ? 2 ** 26 : 2 ** 28, gpu.largestStorage);
  return {
    invocations: software ? 2 ** 14 : 2 ** 20,
    copyBytes: 2 ** Math.floor(Math.log2(allowed)),
  };
}

/**
 * Lists the candidates of every ceiling for a GPU.
 *
 * @param gpu the GPU
 * @param size the work of one dispatch
 */
export function ceilingCandidates(
  gpu: Gpu,
  size: CeilingSize = usualCeilingSize(gpu),
): readonly CandidateGroup[] {
  const { software, features } = gpu.info;
  const workgroupSizes = software ? [64] : [64, 256];
  const fma = (type: CeilingFmaOptions["type"], counts = ACCUMULATORS): Candidate[] =>
    counts.flatMap((accumulators) =>
      workgroupSizes.map((workgroupSize) =>
        fmaCandidate(gpu, size, { accumulators, type, unrolled: UNROLLED, workgroupSize })
      )
    );
  return [
    {
      name: "f32Fma",
      // A CPU has 16 registers, and the operands take some. So 16 f32 accumulators do not fit, but
      // 12 do: try 12 too.
      prepare: () => [...fma("f32", software ? [...ACCUMULATORS, 12] : undefined), ...fma("vec4f")],
    },
    {
      name: "f16Fma",
      ...features.includes("shader-f16")
        ? {
          // A CPU computes f16 in f32, one number at a time: one form is enough to show that rate.
          prepare: () => software ? fma("f16", [8]) : [...fma("f16"), ...fma("vec4h")],
        }
        : {},
    },
    { name: "copyBandwidth", prepare: () => copyCandidates(gpu, size) },
    {
      name: "expRate",
      prepare: () => [4, 8].map((accumulators) => expCandidate(gpu, size, accumulators)),
    },
    { name: "dispatchOverhead", prepare: () => [dispatchCandidate(gpu)] },
  ];
}

/**
 * The reference kernel, which shows whether the machine has become slower: a fixed number of f32
 * multiply-adds.
 *
 * @param gpu the GPU
 * @param size the work of one dispatch
 * @returns the candidate; dispose of it when done
 */
export function referenceKernel(gpu: Gpu, size: CeilingSize = usualCeilingSize(gpu)): Candidate {
  return fmaCandidate(gpu, size, {
    accumulators: 8,
    type: "f32",
    unrolled: UNROLLED,
    workgroupSize: 64,
  });
}

/**
 * Plans work that evicts all other data from the last-level cache. It copies one buffer to another.
 * The two buffers together have 64 MiB on an adapter that computes on the CPU, 256 MiB on others,
 * or less if a limit of the adapter demands it.
 *
 * @param gpu the GPU
 * @returns the plan, which owns its buffers
 */
export function scrubPlan(gpu: Gpu): Plan {
  const bytes = Math.min(gpu.info.software ? 2 ** 25 : 2 ** 27, usualCeilingSize(gpu).copyBytes);
  const [source, copied] = [gpu.storage(bytes), gpu.storage(bytes)];
  const style = gpu.info.software ? "runs" : "coalesced";
  return copyPlan(gpu, {
    bytes,
    source,
    copied,
    element: "vec4u",
    style,
    scratch: [source, copied],
  });
}

function dispatchCandidate(gpu: Gpu): Candidate {
  const counter = gpu.storage(4);
  const plan = new Plan(gpu, {
    operator: "ceilings",
    cost: { flops: 0, bytes: 8 },
    scratch: [counter],
    dispatches: [{
      kernel: { parts: [{ file: "ceilings/dispatch.wgsl", source: dispatchSource }] },
      parameters: [{ u32: 1 }],
      buffers: [counter],
      workgroups: [1],
    }],
  });
  const start = 41;
  return {
    method: "dispatches of one invocation inside one pass",
    plan,
    work: 1,
    poison: () => gpu.device.queue.writeBuffer(counter, 0, new Uint32Array([start])),
    async fault(runs) {
      const count = new Uint32Array(await gpu.readBuffer(counter))[0]! - start;
      return count === runs ? undefined : `${count} of ${runs} dispatches ran`;
    },
    dispose: () => plan.dispose(),
  };
}
