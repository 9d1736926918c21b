/** An adapter and choices tuned for it, for tests of tuned choices. */
import { createDryGpu } from "../../src/gpu/dry_gpu.ts";
import type { GpuInfo } from "../../src/gpu/gpu_info.ts";
import { type TunableOperator, tunableOperators } from "../../src/ops/tuning/operators.ts";
import {
  adapterIdentity,
  applyTuning,
  candidatesHash,
  parseTuning,
  type TunedChoice,
} from "../../src/ops/tuning/choices.ts";
import { gpuInfo } from "./gpu/info.ts";

/** A GPU with subgroups of 32 lanes. */
export const info = gpuInfo({
  device: "1",
  description: "an adapter of a test",
  features: ["subgroups"],
  limits: {
    maxBufferSize: 2 ** 30,
    maxStorageBufferBindingSize: 2 ** 27,
    maxComputeWorkgroupStorageSize: 32768,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupsPerDimension: 65535,
  },
  subgroupSize: { minimum: 32, maximum: 32 },
});

/** The identity that a tuning file for the adapter has. */
export const identity = adapterIdentity(info, "2.0.0");

/** A CPU adapter whose subgroups have eight lanes, like lavapipe's. */
export const softwareInfo: GpuInfo = {
  ...info,
  software: true,
  subgroupSize: { minimum: 8, maximum: 8 },
};

export const tunedOperator: TunableOperator = tunableOperators.get("rmsNormForward")!;

export const tunedDimensions = { rows: 4096, d: 1024 };

/** A valid choice for the adapter, with the given changes. */
export async function tunedChoice(changes: Partial<TunedChoice> = {}): Promise<TunedChoice> {
  return {
    operator: tunedOperator.operator,
    shapeClass: tunedOperator.shapeClass(tunedDimensions),
    dtype: "f32",
    dimensions: tunedDimensions,
    variant: "vectorised",
    candidatesHash: await candidatesHash(info, tunedOperator, tunedDimensions),
    times: { winner: 1, default: 2, portable: 3 },
    date: "2026-11-25T00:00:00Z",
    ...changes,
  };
}

/**
 * The variants that the adapter would run after reading a tuning file's text, by operator and shape
 * class.
 */
export async function chosenBy(text: string): Promise<Map<string, string>> {
  using gpu = createDryGpu(info);
  await applyTuning(gpu, parseTuning(text, identity));
  return new Map(gpu.variants);
}

/** The dimensions of a small call of an operator. */
export function sampleLengths(operator: string): Record<string, number> {
  const lengths: Record<string, Record<string, number>> = {
    attention: { B: 1, Hq: 4, Hkv: 2, T: 128, D: 64 },
    rmsNorm: { rows: 64, d: 96 },
    vScale: { B: 2, Hkv: 2, T: 64, D: 64 },
    matmul: { B: 1, M: 64, N: 96, K: 32, transposeLeft: 0, transposeRight: 1 },
  };
  return lengths[operator.replace(/(Forward|Backward)$/, "")]!;
}
