import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import type { GpuInfo } from "../../../src/gpu/gpu_info.ts";
import { callMemory, scalingSeries } from "../../../bench/scaling/series.ts";
import type { PassName } from "../../../src/measure/workloads/operator.ts";
import { tunableOperator } from "../../../src/measure/workloads/variants.ts";
import { planAttentionBackward, planAttentionForward } from "../../../mod.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { gpuInfo } from "../../support/gpu/info.ts";

function adapter(lanes: number | undefined, software: boolean): GpuInfo {
  return gpuInfo({
    software,
    features: lanes === undefined ? [] : ["shader-f16", "subgroups"],
    limits: {
      maxBufferSize: 2 ** 34,
      maxStorageBufferBindingSize: 2 ** 34,
      maxComputeWorkgroupStorageSize: 32768,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupsPerDimension: 65535,
    },
    ...lanes === undefined ? {} : { subgroupSize: { minimum: lanes, maximum: lanes } },
  });
}

// Every variant runs on at least one of these adapters.
const adapters = [
  adapter(4, true),
  adapter(8, true),
  adapter(32, false),
  adapter(undefined, false),
];

Deno.test("callMemory() of attention grows no faster than T, in every variant and pass", () => {
  const seen = new Map<string, Set<string>>();
  for (const info of adapters) {
    using dry = createDryGpu(info);
    for (const pass of ["forward", "backward"] as PassName[]) {
      const operator = tunableOperator("attention", pass)!;
      for (const variant of operator.variants) {
        const extra = (T: number): number | undefined => {
          const dimensions = { B: 1, Hq: 4, Hkv: 2, T, D: 64 };
          return operator.unfit(dry, dimensions, variant) === undefined
            ? callMemory(info, { kernel: "attention", pass, dimensions }, variant).extra
            : undefined;
        };
        const lengths = Array.from({ length: 8 }, (_, i) => 128 * 2 ** i);
        const extras = lengths.map(extra);
        if (extras.includes(undefined)) continue;
        seen.set(pass, (seen.get(pass) ?? new Set()).add(variant));
        for (const [i, T] of lengths.entries()) {
          // The memory is at most that of nine tensors of shape [Hq, T, D] and 64 KiB. One number
          // per pair of tokens would take 4 T² bytes per head.
          assert(extras[i]! <= 4 * 4 * T * 64 * 9 + 65536, `${variant} takes ${extras[i]} at ${T}`);
          // For a short sequence a variant may hold all pairs of tokens in memory. So do not check
          // its growth.
          if (T <= 256) continue;
          const growth = extras[i]! / extras[i - 1]!;
          assert(growth <= 2.1, `${pass} ${variant} takes ${growth} times as much at ${T}`);
        }
      }
    }
  }
  for (const pass of ["forward", "backward"] as PassName[]) {
    const { variants } = tunableOperator("attention", pass)!;
    assertEquals([...seen.get(pass)!].sort(), [...variants].sort());
  }
});

Deno.test("planAttentionForward() and planAttentionBackward() with V-scale take extra memory linear in T", () => {
  using gpu = createDryGpu(adapters[1]!);
  const extra = (T: number): number => {
    const query = gpu.empty([1, 4, T, 64]);
    const key = gpu.empty([1, 2, T, 64]);
    const constant = gpu.tensor([1, 2], [2]);
    const operands = {
      query,
      key,
      value: gpu.empty(key.shape),
      vScale: { constant, mode: "full" as const },
    };
    let sum = 0;
    const take = (plan: { dispose(): void }): void => {
      const before = gpu.memory.bytes;
      plan.dispose();
      sum += before - gpu.memory.bytes;
    };
    const { plan, ...forward } = planAttentionForward(gpu, operands);
    take(plan);
    const backward = planAttentionBackward(gpu, {
      ...operands,
      ...forward,
      outputGradient: gpu.empty(query.shape),
    });
    take(backward.plan);
    return sum;
  };
  for (let T = 256; T <= 8192; T *= 2) assert(extra(2 * T) / extra(T) <= 2.1, `${T}`);
});

Deno.test("callMemory() counts the bytes of the call's tensors", () => {
  const dimensions = { B: 1, Hq: 2, Hkv: 2, T: 100, D: 8 };
  const row = 4 * 2 * 100;
  const forward = callMemory(adapters[3]!, { kernel: "attention", pass: "forward", dimensions });
  assertEquals(forward.tensors, row * (4 * 8 + 1));
  const backward = callMemory(adapters[3]!, { kernel: "attention", pass: "backward", dimensions });
  assertEquals(backward.tensors, row * (8 * 8 + 1));
});

Deno.test("scalingSeries() reaches from 128 to 16,384 tokens, and no call is huge on a CPU", () => {
  for (const software of [false, true]) {
    const series = scalingSeries({ software });
    assertEquals(series.map(({ kernel, axis }) => `${kernel} ${axis}`), [
      "attention T",
      "rms-norm rows",
      "rms-norm d",
      "v-scale T",
      "v-scale D",
    ]);
    for (const { axis, shapes } of series) {
      const lengths = shapes.map(({ dimensions }) => dimensions[axis]!);
      assertEquals(lengths, lengths.toSorted((a, b) => a - b));
      assert(lengths.length >= 5);
      if (axis === "T") assertEquals([lengths[0], lengths.at(-1)], [128, 16384]);
    }
    const flops = series[0]!.shapes.map(({ dimensions: { Hq, T, D } }) => 2 * Hq! * T! ** 2 * D!);
    assertEquals(flops.some((each) => each > 4e10), !software);
    const short = scalingSeries({ software, longest: 512 });
    assert(short[0]!.shapes.every(({ dimensions }) => dimensions.T! <= 512));
  }
});
