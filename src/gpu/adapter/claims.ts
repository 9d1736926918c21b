/**
 * Compares what an adapter claims with what test kernels find: subgroups and their sizes, f16
 * storage, and the invocations and memory of a workgroup. A feature whose claim is wrong is not
 * used. (`GpuTimer` in `src/measure` tests timestamps.)
 */
import halfSource from "../../../kernels/self_test/half.wgsl" with { type: "text" };
import subgroupSource from "../../../kernels/self_test/subgroup.wgsl" with { type: "text" };
import workgroupSource from "../../../kernels/self_test/workgroup.wgsl" with { type: "text" };
import type { SubgroupSize } from "../gpu_info.ts";
import { enableLine } from "../pipelines.ts";
import type { FoundAdapter } from "./request.ts";

/** What the test kernels found about an opened device. */
export interface Truth {
  /** The features to use, sorted. */
  readonly features: readonly string[];
  /** Absent if subgroups are not used. */
  readonly subgroupSize?: SubgroupSize;
  /** The false claims, one sentence each. */
  readonly notes: readonly string[];
  /** Why the adapter cannot be used at all, one sentence each. */
  readonly faults: readonly string[];
}

/** The WGSL texts of the test kernels. The project's tests replace them with broken kernels. */
export interface ClaimSources {
  readonly subgroup: string;
  readonly half: string;
  readonly workgroup: string;
}

/** The unchanged test kernels. */
export const claimSources: ClaimSources = {
  subgroup: subgroupSource,
  half: halfSource,
  workgroup: workgroupSource,
};

/** The most invocations, and the most bytes of workgroup memory, that the test kernels use. */
const MOST_INVOCATIONS = 256;
const MOST_MEMORY = 32 * 1024;
/**
 * The most bytes of workgroup memory that are tested on a software adapter. There, workgroup memory
 * is CPU memory, so a small test is enough. A kernel must first clear its workgroup memory; with
 * 32 KiB of it, SwiftShader takes 12 s to compile the kernel.
 */
const SOFTWARE_MEMORY = 1024;

/** The largest subgroup that WebGPU allows. */
const LARGEST_SUBGROUP = 128;

/**
 * Numbers of both signs and of every exponent in f16's normal range. Rounding to f16 moves each of
 * them by at most 2⁻¹⁰ times its size.
 */
const HALVES = Float32Array.from(
  { length: 64 },
  (_, i) => (i < 32 ? 1 : -1) * 2 ** (i % 30 - 14) * (1 + 0.95 * ((0.618 * i) % 1)),
);

interface Trial {
  readonly code: string;
  readonly constants?: Readonly<Record<string, number>>;
  /** The first numbers of the result buffer, at most 256. Default: zeros. */
  readonly initial?: Float32Array<ArrayBuffer>;
}

/**
 * Compares an adapter's claims with what kernels find.
 *
 * @param device opened on the adapter; only the features that it has are examined
 */
export async function examineClaims(
  device: GPUDevice,
  { adapter, origin }: FoundAdapter,
  sources: ClaimSources = claimSources,
): Promise<Truth> {
  const features = new Set<string>(device.features);
  const claimed = claimedSize(adapter.info);
  const lanes = Math.min(MOST_INVOCATIONS, device.limits.maxComputeInvocationsPerWorkgroup);
  const mostMemory = adapter.info.isFallbackAdapter ? SOFTWARE_MEMORY : MOST_MEMORY;
  const words = Math.min(mostMemory, device.limits.maxComputeWorkgroupStorageSize) / 4;
  const subgroup = enableLine("subgroups", origin.runtime) + sources.subgroup;
  const single = claimed !== undefined && isSize(claimed) && claimed.minimum === claimed.maximum
    ? claimed.minimum
    : undefined;
  const trials: Record<string, Trial> = {
    workgroup: { code: sources.workgroup, constants: { LANES: lanes, WORDS: words } },
    ...features.has("subgroups")
      ? {
        subgroups: { code: subgroup, constants: { LANES: 64 } },
        // If the adapter claims that all subgroups have one size, also run workgroups of that size.
        ...single === undefined ? {} : { one: { code: subgroup, constants: { LANES: single } } },
      }
      : {},
    ...features.has("shader-f16")
      ? { half: { code: enableLine("f16", origin.runtime) + sources.half, initial: HALVES } }
      : {},
  };
  const results = await runTrials(device, trials);
  const notes: string[] = [];
  const leaveOut = (feature: string, reason: string): void => {
    features.delete(feature);
    notes.push(`${reason}: the feature ${feature} is not used`);
  };

  const workgroup = results.workgroup!;
  const lost = typeof workgroup === "string" ||
    workgroup.subarray(0, lanes).some((count) => count !== 1);
  const faults = lost
    ? [`it claims workgroups of ${lanes} invocations with ${4 * words} bytes, and loses numbers`]
    : [];
  if (features.has("subgroups")) {
    const reason = subgroupFault(results, { claimed, single });
    if (reason !== undefined) leaveOut("subgroups", reason);
  }
  if (features.has("shader-f16") && !roundsHalves(results.half!)) {
    leaveOut("shader-f16", "numbers stored in f16 are lost");
  }
  return {
    features: [...features].sort(),
    ...features.has("subgroups")
      ? { subgroupSize: claimed ?? sizesAround(results.subgroups as Uint32Array) }
      : {},
    notes,
    faults,
  };
}

function claimedSize(info: GPUAdapterInfo): SubgroupSize | undefined {
  const { subgroupMinSize: minimum, subgroupMaxSize: maximum } = info;
  if (minimum === undefined || maximum === undefined) return undefined;
  return { minimum, maximum };
}

function isSize({ minimum, maximum }: SubgroupSize): boolean {
  return [minimum, maximum].every((size) => Number.isInteger(Math.log2(size))) && minimum >= 1 &&
    minimum <= maximum && maximum <= LARGEST_SUBGROUP;
}

// The range of subgroup sizes to assume for an adapter that reports none. It is WebGPU's range,
// extended to include all sizes that a kernel saw.
function sizesAround(result: Uint32Array): SubgroupSize {
  const seen = result.subarray(0, 64);
  return {
    minimum: Math.min(4, ...seen),
    maximum: Math.max(LARGEST_SUBGROUP, ...seen),
  };
}

function subgroupFault(
  results: Readonly<Record<string, Uint32Array | string>>,
  { claimed, single }: {
    readonly claimed: SubgroupSize | undefined;
    readonly single: number | undefined;
  },
): string | undefined {
  const text = ({ minimum, maximum }: SubgroupSize) =>
    minimum === maximum ? `${minimum}` : `${minimum} to ${maximum}`;
  const told = claimed !== undefined && `it claims subgroups of ${text(claimed)} lanes`;
  if (claimed !== undefined && !isSize(claimed)) return `${told}, which none can have`;
  for (const [result, lanes] of [[results.subgroups, 64], [results.one, single]] as const) {
    if (result === undefined || lanes === undefined) continue;
    if (typeof result === "string") return `kernels with subgroups fail (${result})`;
    const seen = result.subarray(0, lanes);
    const sizes = { minimum: Math.min(...seen), maximum: Math.max(...seen) };
    if (claimed && (sizes.minimum < claimed.minimum || sizes.maximum > claimed.maximum)) {
      return `${told}, its kernels run with ${text(sizes)}`;
    }
    if (!isSize(sizes) || result.subarray(128, 128 + lanes).some((wrong) => wrong !== 0)) {
      return "subgroup operations miscompute";
    }
  }
  return undefined;
}

function roundsHalves(result: Uint32Array | string): boolean {
  if (typeof result === "string") return false;
  const stored = new Float32Array(result.buffer, 0, HALVES.length);
  return stored.every((half, i) => Math.abs(half - HALVES[i]!) <= 2 ** -10 * Math.abs(HALVES[i]!));
}

// Submits all trials and then waits once, because on Deno every wait for the GPU takes 10 ms. If
// the device refuses a trial, the trial's result is the reason instead of numbers.
async function runTrials(
  device: GPUDevice,
  trials: Readonly<Record<string, Trial>>,
): Promise<Record<string, Uint32Array | string>> {
  const entries = Object.entries(trials);
  const size = 256 * 4;
  const usage = GPUBufferUsage;
  const buffers = entries.map(() =>
    device.createBuffer({ size, usage: usage.STORAGE | usage.COPY_SRC | usage.COPY_DST })
  );
  const staging = device.createBuffer({
    size: size * entries.length,
    usage: usage.MAP_READ | usage.COPY_DST,
  });
  try {
    const errors = entries.map(([, { code, constants, initial }], i) => {
      device.pushErrorScope("validation");
      if (initial !== undefined) device.queue.writeBuffer(buffers[i]!, 0, initial);
      const pipeline = device.createComputePipeline({
        layout: "auto",
        compute: {
          module: device.createShaderModule({ code }),
          entryPoint: "main",
          ...constants === undefined ? {} : { constants },
        },
      });
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(
        0,
        device.createBindGroup({
          layout: pipeline.getBindGroupLayout(0),
          entries: [{ binding: 0, resource: { buffer: buffers[i]! } }],
        }),
      );
      pass.dispatchWorkgroups(1);
      pass.end();
      encoder.copyBufferToBuffer(buffers[i]!, 0, staging, i * size, size);
      device.queue.submit([encoder.finish()]);
      return device.popErrorScope();
    });
    await staging.mapAsync(GPUMapMode.READ);
    const all = new Uint32Array(staging.getMappedRange().slice(0));
    const reasons = await Promise.all(errors);
    return Object.fromEntries(entries.map(([name], i) => [
      name,
      reasons[i]?.message.trim().split("\n")[0] ?? all.slice(256 * i, 256 * (i + 1)),
    ]));
  } finally {
    for (const buffer of [...buffers, staging]) buffer.destroy();
  }
}
