/**
 * The calls whose time and memory show how operators grow with length. A call's memory is read from
 * its plan, without a GPU.
 */
import { createDryGpu } from "../../src/gpu/dry_gpu.ts";
import type { GpuInfo } from "../../src/gpu/gpu_info.ts";
import type { Dimensions } from "../../src/ops/tuning/operators.ts";
import type { PassName, Shape } from "../../src/measure/workloads/operator.ts";
import type { OperatorName } from "../../src/measure/workloads/operators.ts";
import { tunableOperator } from "../../src/measure/workloads/variants.ts";

/** Calls of one operator that differ in one length. */
export interface ScalingSeries {
  readonly kernel: OperatorName;
  readonly passes: readonly PassName[];
  /** The length that grows, by its name in `dimensions`. */
  readonly axis: string;
  /** Time is shown per FLOP if arithmetic bounds the operator, otherwise per byte of traffic. */
  readonly unit: "flop" | "byte";
  /** The calls, the shortest first. */
  readonly shapes: readonly Shape[];
}

/** Memory of a call, in bytes. */
export interface CallMemory {
  /** Inputs and outputs. */
  readonly tensors: number;
  /** The plan's memory in addition to the tensors. */
  readonly extra: number;
}

/** D of the attention series. */
const HEAD_DIM = 64;
/**
 * The most FLOPs of attention's forward pass on a CPU. To stay below them, long sequences get fewer
 * than 8 heads, but at least 1.
 */
const SOFTWARE_FLOPS = 2e9;

/**
 * The series: attention over T from 128 to 16,384; RMSNorm over rows and over d; V-scale over T and
 * over D.
 *
 * @param options.software whether the adapter computes on the CPU: attention then has at most 8
 *   heads instead of 16. The number of heads does not change the cost per unit of work
 * @param options.longest the largest T and the most rows
 */
export function scalingSeries(
  { software, longest = Infinity }: { readonly software: boolean; readonly longest?: number },
): ScalingSeries[] {
  const both = ["forward", "backward"] as const;
  const upTo = (lengths: readonly number[]) => lengths.filter((length) => length <= longest);
  const tokens = Array.from({ length: 8 }, (_, i) => 128 * 2 ** i);
  const attention = upTo(tokens).map((T) => {
    const H = software ? headsFor(T) : 16;
    return { B: 1, Hq: H, Hkv: H, T, D: HEAD_DIM };
  });
  const series = (
    kernel: OperatorName,
    fields: Pick<ScalingSeries, "axis" | "unit">,
    calls: readonly Dimensions[],
  ): ScalingSeries => ({
    kernel,
    passes: both,
    ...fields,
    shapes: calls.map((dimensions) => ({
      name: `${fields.axis}=${dimensions[fields.axis]}`,
      dimensions,
    })),
  });
  return [
    series("attention", { axis: "T", unit: "flop" }, attention),
    series(
      "rms-norm",
      { axis: "rows", unit: "byte" },
      upTo([16, 64, 256, 1024, 4096, 16384]).map((rows) => ({ rows, d: 1024 })),
    ),
    series(
      "rms-norm",
      { axis: "d", unit: "byte" },
      [64, 256, 1024, 4096, 16384].map((d) => ({ rows: Math.min(1024, longest), d })),
    ),
    series(
      "v-scale",
      { axis: "T", unit: "byte" },
      upTo([128, 512, 2048, 8192, 16384]).map((T) => ({ B: 1, Hkv: 8, T, D: HEAD_DIM })),
    ),
    series(
      "v-scale",
      { axis: "D", unit: "byte" },
      [16, 32, 64, 128, 256].map((D) => ({ B: 1, Hkv: 8, T: Math.min(2048, longest), D })),
    ),
  ].filter(({ shapes }) => shapes.length > 0);
}

function headsFor(T: number): number {
  const flops = 2 * T ** 2 * HEAD_DIM;
  return 2 ** Math.min(3, Math.max(0, Math.floor(Math.log2(SOFTWARE_FLOPS / flops))));
}

/**
 * The memory of a call, from its plan on a simulated adapter.
 *
 * @param variant the variant's name. Default: the operator's default variant
 * @throws {RangeError} if the variant cannot run such a call on this adapter, or the operator is
 *   not tunable
 */
export function callMemory(
  info: GpuInfo,
  { kernel, pass, dimensions }: {
    readonly kernel: OperatorName;
    readonly pass: PassName;
    readonly dimensions: Dimensions;
  },
  variant?: string,
): CallMemory {
  using dry = createDryGpu(info);
  const operator = tunableOperator(kernel, pass);
  if (operator === undefined) {
    throw new RangeError(`callMemory: ${kernel} ${pass} is not described`);
  }
  const plan = operator.plan(dry, dimensions, variant);
  const all = dry.memory.bytes;
  plan.dispose();
  const tensors = dry.memory.bytes;
  return { tensors, extra: all - tensors };
}
