import { type Gpu, openGpu } from "../../mod.ts";
import {
  ceilingCandidates,
  type CeilingSize,
  referenceKernel,
  scrubPlan,
  usualCeilingSize,
} from "../../src/measure/ceilings/candidates.ts";
import { measureCeilings, mergeCeilings } from "../../src/measure/ceilings.ts";
import { rooflinePosition, rooflineShare } from "../../src/measure/ceilings/roofline.ts";
import { greatestRateInterval, withInterval } from "../../src/measure/ceilings/uncertainty.ts";
import { randomUniform } from "../../src/random.ts";
import { chooseRepeats } from "../../src/measure/timing/repeats.ts";
import type { Ceilings } from "../../src/measure/result_file.ts";
import type { GpuTimer, Span } from "../../src/measure/timing.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { onEachRuntime, siblingGpu } from "../support/gpu.ts";

// Copies of 1 MiB: the usual 64 MiB would take most of the test's time.
function smallSize(gpu: Gpu): CeilingSize {
  return { ...usualCeilingSize(gpu), copyBytes: 2 ** 20 };
}

// A timer that runs nothing and returns the times that the test chooses, so the figures are known.
function fakeTimer(nanoseconds: (dispatches: number) => number): GpuTimer {
  const counted = (span: Span): number => {
    let dispatches = 0;
    const pass = { setPipeline() {}, setBindGroup() {}, dispatchWorkgroups: () => dispatches++ };
    span(pass as unknown as GPUComputePassEncoder);
    return dispatches;
  };
  const fake = {
    timer: { kind: "timestamp", quantum: 1 },
    minimumSpan: 50,
    submitAndWait: [100, 300, 200],
    warning: undefined,
    time: (spans: readonly Span[]) =>
      Promise.resolve({ spans: spans.map((span) => nanoseconds(counted(span))), wall: 0 }),
  };
  return fake as unknown as GpuTimer;
}

onEachRuntime("measureCeilings() divides known work by the time of the best form", async (gpu) => {
  const timer = fakeTimer((dispatches) => 1e6 * dispatches);
  const { ceilings, warnings } = await measureCeilings(gpu, { timer, rounds: 3 });
  assertEquals(warnings, [], "all forms give right results on this adapter");
  const works = new Map<string, number>();
  for (const { name, prepare } of ceilingCandidates(gpu)) {
    const candidates = prepare?.() ?? [];
    if (candidates.length > 0) works.set(name, Math.max(...candidates.map(({ work }) => work)));
    for (const candidate of candidates) candidate.dispose();
  }
  // Every dispatch takes a millisecond, so the kernel with the most work per dispatch wins.
  const near = (figure: number, wanted: number): boolean => Math.abs(figure / wanted - 1) < 1e-9;
  assert(near(ceilings.f32Fma!.value, 1e3 * works.get("f32Fma")!));
  assert(near(ceilings.copyBandwidth!.value, 1e3 * works.get("copyBandwidth")!));
  assert(near(ceilings.expRate!.value, 1e3 * works.get("expRate")!));
  assert(near(ceilings.dispatchOverhead!.value, 1e6));
  assertEquals(ceilings.submitAndWait!.value, 200);
  assertEquals(ceilings.f16Fma === null, !gpu.info.features.includes("shader-f16"));
});

onEachRuntime("referenceKernel() and scrubPlan() run, and free what they hold", async (gpu) => {
  const before = gpu.memory.buffers;
  const reference = referenceKernel(gpu);
  const scrub = scrubPlan(gpu);
  reference.poison();
  assert(await reference.fault(1) !== undefined, "the poison is found");
  gpu.run([reference.plan, scrub]);
  assertEquals(await reference.fault(1), undefined);
  reference.dispose();
  scrub.dispose();
  assertEquals(gpu.memory.buffers, before);
});

// Kernels that compute less than the bench counts, each with the ceiling that it would raise.
const cheats: readonly [what: string, ceiling: keyof Ceilings, from: RegExp, to: string][] = [
  [
    "does nothing",
    "f32Fma",
    /sums\[/,
    "if (sum < -1e30) { return; } if (sum < 1e30) { return; } sums[",
  ],
  ["stops a round early", "f32Fma", /round < parameters\.rounds/, "round + 1u < parameters.rounds"],
  ["drops one multiply-add", "f32Fma", /x0 = fma\(x0, factor, addend\);/, ""],
  ["skips an accumulator's loop", "f32Fma", /x0 = fma\(x0, factor, addend\);/g, ""],
  [
    "does half of the rounds",
    "f16Fma",
    /round < parameters\.rounds/,
    "round < parameters.rounds / 2u",
  ],
  ["leaves every other element out", "copyBandwidth", /k\+\+/, "k += 2u"],
  [
    "leaves out the last element",
    "copyBandwidth",
    /k < parameters\.run/,
    "k + 1u < parameters.run",
  ],
  ["reads one element only", "copyBandwidth", /source\[i\]/g, "source[0]"],
  ["leaves one exponential out", "expRate", /x0 \+= exp\(parameters\.zero \* x0\);/, ""],
  ["counts nothing", "dispatchOverhead", /runs\[0\] \+= step;/, "runs[0] += 0u * step;"],
];

Deno.test("measureCeilings() gives no ceiling from kernels that compute less than they should", async () => {
  for (const [what, name, from, to] of cheats) {
    using gpu = await openGpu();
    if (name === "f16Fma" && !gpu.info.features.includes("shader-f16")) continue;
    let changed = 0;
    gpu.pipelines.rewrite = ({ source }) => {
      const text = source.replace(from, to);
      if (text !== source) changed++;
      return text;
    };
    const timer = fakeTimer((dispatches) => 1e6 * dispatches);
    const only = ceilingCandidates(gpu, smallSize(gpu)).filter((group) => group.name === name);
    const { ceilings, warnings } = await measureCeilings(gpu, { timer, rounds: 1, groups: only });
    assert(changed > 0, `${what}: nothing was rewritten`);
    assertEquals(ceilings[name], null, `${name}: ${what}`);
    assertEquals(warnings.length, changed, what);
  }
});

Deno.test("chooseRepeats() makes a span long enough, or stops at the maximum", async () => {
  const repeats = (time: (dispatches: number) => number, span: number): Promise<number> =>
    chooseRepeats((pass) => pass.dispatchWorkgroups(1), {
      timer: fakeTimer(time),
      span,
      maximum: 1000,
    });
  assertEquals(await repeats((n) => 5000 * n, 4000), 1);
  const many = await repeats((n) => 50 * n, 4000);
  assert(many >= 80 && many <= 200, `${many}`);
  // Every span has 3000 ns of overhead. So a span of 4000 ns needs 100 dispatches, not the two that
  // one dispatch's time of 3010 ns suggests.
  assert(await repeats((n) => 3000 + 10 * n, 4000) >= 100);
  assertEquals(await repeats(() => 0, 4000), 1000);
});

Deno.test("mergeCeilings() keeps the better figures", () => {
  const first: Ceilings = {
    f32Fma: { value: 2, unit: "flop/s" },
    f16Fma: null,
    dispatchOverhead: { value: 5, unit: "ns" },
    expRate: { value: 3, unit: "op/s" },
  };
  const second: Ceilings = {
    f32Fma: { value: 3, unit: "flop/s", method: "other" },
    f16Fma: { value: 1, unit: "flop/s" },
    dispatchOverhead: { value: 7, unit: "ns" },
    expRate: null,
  };
  assertEquals(mergeCeilings(first, second), {
    f32Fma: { value: 3, unit: "flop/s", method: "other" },
    f16Fma: { value: 1, unit: "flop/s" },
    dispatchOverhead: { value: 5, unit: "ns" },
    expRate: { value: 3, unit: "op/s" },
  });
  assertEquals(mergeCeilings({}, second), second);
});

Deno.test("mergeCeilings() pools one form's samples from two processes into one interval", () => {
  const of = (samples: number[], method = "a"): Ceilings => ({
    f32Fma: withInterval({ value: Math.max(...samples), unit: "flop/s", method, samples }),
  });
  const merged = mergeCeilings(of([50, 90, 70]), of([98, 99, 100, 97, 60])).f32Fma!;
  assertEquals([merged.value, merged.samples?.length], [100, 8]);
  // The five greatest samples span 10, from 90 to 100. The interval reaches 0.05^(−1/4) − 1 = 1.115
  // times that span above 100.
  assertEquals(merged.interval, { low: 100, high: 100 + (0.05 ** -0.25 - 1) * 10 });
  assertEquals(merged.remark, "uncertain, the best samples differ");
  const other = mergeCeilings(of([50, 90, 70]), of([100, 99, 98, 97, 96], "b")).f32Fma!;
  assertEquals([other.method, other.samples?.length, other.remark], ["b", 5, undefined]);
});

Deno.test("greatestRateInterval() contains the end of a uniform density in 95 of 100 cases", () => {
  for (const count of [5, 12, 60]) {
    let held = 0;
    for (let seed = 0; seed < 400; seed++) {
      const rates = [...randomUniform({ seed, length: count, minimum: 60, maximum: 100 })];
      const { low, high } = greatestRateInterval(rates)!;
      assert(low === Math.max(...rates) && high >= low);
      if (high >= 100) held++;
    }
    // 400 trials at 95 % have a standard error of 1.1 %.
    assert(held >= 0.91 * 400 && held <= 0.99 * 400, `${count} samples: ${held} of 400`);
  }
  assertEquals([greatestRateInterval([]), greatestRateInterval([1])], [undefined, undefined]);
});

Deno.test("a roofline share carries the uncertainty of time and ceiling, and is withheld if that is large", () => {
  const of = (...samples: number[]): Ceilings => ({
    f32Fma: withInterval({ value: Math.max(...samples), unit: "flop/s", samples }),
    copyBandwidth: { value: 1e15, unit: "byte/s" },
  });
  const time = { median: 4, interval: { low: 3.6, high: 4.4 } };
  const share = (ceilings: Ceilings) =>
    rooflineShare(rooflinePosition({ flops: 2, bytes: 0, dtype: "f32" }, ceilings), time);
  const sure = share(of(1e9, 1e9, 1e9, 1e9, 0.99e9))!;
  assertEquals(sure.share, 0.5);
  const most = 1 + (0.05 ** -0.25 - 1) * 0.01;
  assert(Math.abs(sure.interval!.low - 2 / 4.4 / most) < 1e-12);
  assert(Math.abs(sure.interval!.high - 2 / 3.6) < 1e-12);
  const unsure = of(1e9, 0.9e9, 0.8e9, 0.7e9, 0.6e9);
  assertEquals(share(unsure), undefined);
  assert(unsure.f32Fma!.remark!.endsWith("shares of it are left out"));
  // A figure without samples gets no interval.
  const plain: Ceilings = { ...unsure, f32Fma: { value: 1e9, unit: "flop/s" } };
  assertEquals(share(plain), { share: 0.5, interval: undefined });
});

Deno.test("mergeCeilings() keeps the better figure of each form, the best form first", () => {
  const of = (...forms: readonly [string, number][]): Ceilings => ({
    f32Fma: {
      value: forms[0]![1],
      unit: "flop/s",
      method: forms[0]![0],
      forms: forms.map(([method, value]) => ({ method, value })),
    },
  });
  const merged = mergeCeilings(of(["a", 5], ["b", 4], ["c", 1]), of(["b", 6], ["a", 3], ["d", 2]));
  assertEquals(merged, of(["b", 6], ["a", 5], ["d", 2], ["c", 1]));
  // Files of older versions have no `forms`.
  const old: Ceilings = { f32Fma: { value: 9, unit: "flop/s" } };
  assertEquals(mergeCeilings(old, of(["a", 5], ["b", 4])).f32Fma, {
    value: 9,
    unit: "flop/s",
    forms: [{ method: "a", value: 5 }, { method: "b", value: 4 }],
  });
});

Deno.test("the arithmetic ceiling races 1, 2, 4, 8 and 16 accumulators, scalar and vec4", async () => {
  using gpu = await openGpu();
  for (const software of [true, false]) {
    const sibling = siblingGpu(gpu, { software });
    const size = { invocations: 2 ** 12, copyBytes: 2 ** 20 };
    const race = ceilingCandidates(sibling, size).find(({ name }) => name === "f32Fma")!;
    const candidates = race.prepare!();
    const methods = candidates.map(({ method }) => method);
    for (const candidate of candidates) candidate.dispose();
    for (const type of ["f32", "vec4f"]) {
      for (const count of [1, 2, 4, 8, 16]) {
        const wanted = `${count} ${type} accumulators, 64 invocations a workgroup`;
        assert(methods.includes(wanted), `${wanted}: ${methods.join("; ")}`);
      }
    }
    assertEquals(new Set(methods).size, methods.length);
  }
});

onEachRuntime("measureCeilings() keeps every form's figure", async (gpu) => {
  const timer = fakeTimer((dispatches) => 1e6 * dispatches);
  const groups = ceilingCandidates(gpu, smallSize(gpu))
    .filter(({ name }) => name === "copyBandwidth");
  const { ceilings } = await measureCeilings(gpu, { timer, rounds: 3, groups });
  const { value, method, forms } = ceilings.copyBandwidth!;
  assertEquals(forms!.length, 4);
  assertEquals(forms![0], { method: method!, value });
  assert(forms!.every((form) => form.value <= value));
}, { runtimes: ["deno"] });
