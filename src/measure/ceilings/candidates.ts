/** The kernels of each ceiling, with their work and the check of their results. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import { type Dispatch, Plan } from "../../gpu/plan.ts";
import copySource from "../../../kernels/ceilings/copy.wgsl" with { type: "text" };
import dispatchSource from "../../../kernels/ceilings/dispatch.wgsl" with { type: "text" };
import { ceilingExp } from "../../../kernels/ceilings/exp.wgsl.ts";
import { ceilingFma, type CeilingFmaOptions } from "../../../kernels/ceilings/fma.wgsl.ts";

/** The ceilings that come from kernels. */
export type CeilingName = "f32Fma" | "f16Fma" | "copyBandwidth" | "expRate" | "dispatchOverhead";

/** One form of a ceiling's kernel. */
export interface Candidate {
  /** The form's description, for the result file. */
  readonly method: string;
  /** The plan of one run. */
  readonly plan: Plan;
  /** Units of work per run: operations, bytes or dispatches. */
  readonly work: number;
  /** Overwrites the output with a value that the kernel never writes. */
  readonly poison: () => void;
  /**
   * Reads the output and compares it with the known result.
   *
   * @param runs the number of runs since `poison`
   * @returns what is wrong; undefined if the result is right
   */
  readonly fault: (runs: number) => Promise<string | undefined>;
  /** Frees its buffers and its plan. */
  readonly dispose: () => void;
}

/** A ceiling and the forms of its kernel. */
export interface CandidateGroup {
  /** The ceiling. */
  readonly name: CeilingName;
  /** Absent if the adapter lacks a feature that the ceiling needs. */
  readonly prepare?: () => Candidate[];
}

/** The numbers of independent accumulators to try, with single numbers and with vectors of four. */
const ACCUMULATORS: readonly number[] = [1, 2, 4, 8, 16];
// How often 1 is added to each accumulator. An accumulator begins at 22 or less, so it stays below
// 2,048, up to which f16 holds integers exactly.
const STEPS = 1024;
const UNROLLED = 16;
// A value that no kernel here writes.
const POISON = -1;

/** The amount of work in one dispatch of the ceilings' kernels. */
export interface CeilingSize {
  /** The invocations of the arithmetic kernels: a power of two, at least 2^12. */
  readonly invocations: number;
  /** The size of the copied buffer: a power of two. */
  readonly copyBytes: number;
}

/**
 * The usual size: enough invocations to fill a GPU many times over, and buffers larger than most
 * last-level caches, if the GPU allows them. On a CPU it is a few milliseconds of work.
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
      // 12 f32 accumulators are the most that fit a CPU's 16 registers with the operands.
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
 * Plans work that evicts all other data from the last-level cache. It copies one buffer to another:
 * 64 MiB together on an adapter that computes on the CPU, 256 MiB on others, less if a limit of the
 * adapter demands it.
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

interface Counting {
  readonly method: string;
  readonly invocations: number;
  readonly part: KernelPart;
  readonly parameters: Dispatch["parameters"];
  readonly workgroupSize: number;
  /** The number of operations of one invocation. */
  readonly operations: number;
  /** The number that an invocation writes, and its tolerance. */
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

function fmaCandidate(
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

function expCandidate(
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
    // WGSL allows exp(0) an error of three units in the last place, 3·2^-23, and each addition to a
    // number below 2^9 half a unit, 2^-16. A missing step would be off by 1.
    tolerance: accumulators * steps * (3 * 2 ** -23 + 2 ** -16),
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

function copyCandidates(gpu: Gpu, { copyBytes: bytes }: CeilingSize): Candidate[] {
  const source = gpu.storage(bytes);
  const copied = gpu.storage(bytes);
  const seed = 0x9e3779b1;
  // Every word differs, so a memory controller cannot compress the data.
  const chunk = new Uint32Array(Math.min(bytes, 2 ** 24) / 4);
  const fillChunk = (first: number): Uint32Array<ArrayBuffer> => {
    for (let i = 0; i < chunk.length; i++) chunk[i] = Math.imul(first + i + 1, seed);
    return chunk;
  };
  for (let offset = 0; offset < bytes; offset += chunk.byteLength) {
    gpu.device.queue.writeBuffer(source, offset, fillChunk(offset / 4));
  }
  const forms = [
    { element: "vec4u", style: "coalesced" },
    { element: "vec4u", style: "runs" },
    { element: "u32", style: "coalesced" },
    { element: "u32", style: "runs" },
  ] as const;
  let users = forms.length;
  return forms.map(({ element, style }): Candidate => {
    const plan = copyPlan(gpu, { bytes, source, copied, element, style });
    return {
      method: `${style === "runs" ? "a run an invocation" : "coalesced"}, ${element} elements, ${
        bytes / 2 ** 20
      } MiB read and as many written`,
      plan,
      work: 2 * bytes,
      poison() {
        gpu.guard("ceilings", () => {
          const encoder = gpu.device.createCommandEncoder();
          encoder.clearBuffer(copied);
          gpu.device.queue.submit([encoder.finish()]);
        });
      },
      async fault() {
        for (let offset = 0; offset < bytes; offset += chunk.byteLength) {
          const words = await readPart(gpu, copied, { offset, size: chunk.byteLength });
          const wanted = fillChunk(offset / 4);
          const wrong = words.findIndex((word, i) => word !== wanted[i]);
          if (wrong >= 0) return `word ${offset / 4 + wrong} was not copied`;
        }
        return undefined;
      },
      dispose() {
        plan.dispose();
        if (--users > 0) return;
        gpu.free(source);
        gpu.free(copied);
      },
    };
  });
}

interface Copying {
  readonly bytes: number;
  readonly source: GPUBuffer;
  readonly copied: GPUBuffer;
  readonly element: "vec4u" | "u32";
  readonly style: "coalesced" | "runs";
  readonly scratch?: readonly GPUBuffer[];
}

function copyPlan(gpu: Gpu, copying: Copying): Plan {
  const { bytes, source, copied, element, style, scratch = [] } = copying;
  const elements = bytes / (element === "vec4u" ? 16 : 4);
  const invocations = style === "runs" ? 2 ** 13 : Math.min(2 ** 20, elements / 64);
  const run = elements / invocations;
  const groups = invocations / 64;
  const columns = Math.min(groups, 2 ** 15);
  return new Plan(gpu, {
    operator: "ceilings",
    cost: { flops: 0, bytes: 2 * bytes },
    scratch,
    dispatches: [{
      kernel: {
        parts: [{ file: "ceilings/copy.wgsl", source: copySource }],
        constants: { Element: element },
      },
      parameters: [
        { u32: run },
        { u32: style === "runs" ? 1 : invocations },
        { u32: style === "runs" ? run : 1 },
        { u32: 64 * columns },
      ],
      buffers: [source, copied],
      workgroups: [columns, groups / columns],
    }],
  });
}

async function readPart(
  gpu: Gpu,
  buffer: GPUBuffer,
  { offset, size }: { readonly offset: number; readonly size: number },
): Promise<Uint32Array> {
  const part = gpu.storage(size);
  try {
    gpu.guard("ceilings", () => {
      const encoder = gpu.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset, part, 0, size);
      gpu.device.queue.submit([encoder.finish()]);
    });
    return new Uint32Array(await gpu.readBuffer(part));
  } finally {
    gpu.free(part);
  }
}
