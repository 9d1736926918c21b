import { Plan } from "../../mod.ts";
import type { Gpu } from "../../mod.ts";
import { referenceKernel } from "../../src/measure/ceilings/candidates.ts";
import { GpuTimer, type HostClocks, MAXIMUM_SPANS, type Span } from "../../src/measure/timing.ts";
import dispatchSource from "../../kernels/ceilings/dispatch.wgsl" with { type: "text" };
import { assert, assertEquals, assertRejects } from "../support/assert/assert.ts";
import { onEachRuntime } from "../support/gpu.ts";

const clocks: HostClocks = { wall: () => performance.now() * 1e6 };

// A dispatch that increments a counter on the GPU.
function counter(gpu: Gpu): { plan: Plan; span: Span; count: () => Promise<number> } {
  const runs = gpu.storage(4);
  gpu.device.queue.writeBuffer(runs, 0, new Uint32Array([0]));
  const plan = new Plan(gpu, {
    operator: "test",
    cost: { flops: 0, bytes: 8 },
    scratch: [runs],
    dispatches: [{
      kernel: { parts: [{ file: "ceilings/dispatch.wgsl", source: dispatchSource }] },
      parameters: [{ u32: 1 }],
      buffers: [runs],
      workgroups: [1],
    }],
  });
  const count = async () => new Uint32Array(await gpu.readBuffer(runs))[0]!;
  return { plan, span: (pass) => plan.encode(pass), count };
}

for (const kind of ["timestamp", "wall"] as const) {
  onEachRuntime(`GpuTimer.time() runs every span once, by ${kind}`, async (gpu) => {
    if (kind === "timestamp" && !gpu.info.features.includes("timestamp-query")) return;
    const before = gpu.memory.buffers;
    const timer = await GpuTimer.open(gpu, { clocks, kind });
    assertEquals(timer.timer.kind, kind, timer.warning ?? "");
    assertEquals(gpu.memory.buffers, before, "calibration leaves nothing behind");
    const { plan, span, count } = counter(gpu);
    const { spans, wall } = await timer.time([span, span, span], { first: span });
    assertEquals(await count(), 4);
    assertEquals(spans.length, 3);
    assert(wall > 0 && Number.isFinite(wall));
    for (const time of spans) assert(time === undefined || time > 0);
    if (kind === "timestamp") {
      await timer.time([span, span], { each: span });
      assertEquals(await count(), 8);
    } else {
      await assertRejects(() => timer.time([span], { each: span }), RangeError, "wall time");
    }
    await timer.time(Array.from({ length: MAXIMUM_SPANS }, () => span));
    await assertRejects(() => timer.time([]), RangeError, "0 spans");
    const many = Array.from({ length: MAXIMUM_SPANS + 1 }, () => span);
    await assertRejects(() => timer.time(many), RangeError, "33 spans");
    plan.dispose();
    timer.dispose();
  });
}

// On Deno, the call that asks whether the GPU is done waits until it is. If this stops being true,
// submitAndWait in src/measure/timing/submission.ts must change. Both clocks time the same work, so
// a slow machine lengthens both: the host's time can be shorter only if the call returned early.
onEachRuntime("GpuTimer.time() gives a host time that covers the GPU's", async (gpu) => {
  if (!gpu.info.features.includes("timestamp-query")) return;
  const timer = await GpuTimer.open(gpu, { clocks });
  if (timer.timer.kind === "wall") return;
  const reference = referenceKernel(gpu);
  gpu.run(reference.plan);
  await gpu.sync();
  const span: Span = (pass) => {
    for (let i = 0; i < 10; i++) reference.plan.encode(pass);
  };
  const { spans, wall } = await timer.time([span, span]);
  const sum = spans.reduce<number>((total, time) => total + (time ?? 0), 0);
  const slack = 1 + timer.timer.calibrationError!;
  assert(sum > 0);
  assert(sum <= wall * slack, `the GPU says ${sum} ns, the host ${wall} ns`);
  // Ten runs of the reference kernel take longer than one run. The least of five times leaves slow
  // moments out.
  const least = async (work: Span): Promise<number> => {
    const times = [];
    for (let i = 0; i < 5; i++) times.push(...(await timer.time([work])).spans);
    return Math.min(...times.map((time) => time ?? Infinity));
  };
  const one = await least((pass) => reference.plan.encode(pass));
  const ten = await least(span);
  assert(ten > 2 * one, `ten runs take ${ten} ns, one ${one} ns`);
  reference.dispose();
  timer.dispose();
});

onEachRuntime("GpuTimer.open() calibrates against whatever clock it is given", async (gpu) => {
  if (!gpu.info.features.includes("timestamp-query")) return;
  // A host clock that runs three times as fast makes the GPU's ticks look three times as long.
  const fast: HostClocks = { wall: () => 3 * clocks.wall() };
  const normal = await GpuTimer.open(gpu, { clocks });
  const stretched = await GpuTimer.open(gpu, { clocks: fast });
  if (normal.timer.kind === "wall") return;
  const ratio = stretched.timer.nanosecondsPerTick! / normal.timer.nanosecondsPerTick!;
  const doubt = stretched.timer.calibrationError! + normal.timer.calibrationError!;
  assert(Math.abs(ratio / 3 - 1) <= 2 * doubt, `${ratio}, doubt ${doubt}`);
  normal.dispose();
  stretched.dispose();
});

onEachRuntime("GpuTimer.time() gives CPU time only if there is a clock for it", async (gpu) => {
  let cpu = 0;
  const timer = await GpuTimer.open(gpu, { clocks: { ...clocks, cpu: () => cpu += 1000 } });
  const { plan, span } = counter(gpu);
  assertEquals((await timer.time([span])).cpu! > 0, true);
  const without = await GpuTimer.open(gpu, { clocks });
  assertEquals((await without.time([span])).cpu, undefined);
  plan.dispose();
  timer.dispose();
  without.dispose();
});

onEachRuntime("GpuTimer.time() by wall adds the first run's CPU and host time", async (gpu) => {
  // Each reading of a clock advances it by 1000 ns, so all submissions seem to take equally long.
  const time = { wall: 0, cpu: 0 };
  const steps: HostClocks = { wall: () => time.wall += 1000, cpu: () => time.cpu += 1000 };
  const timer = await GpuTimer.open(gpu, { clocks: steps, kind: "wall" });
  const { plan, span } = counter(gpu);
  const one = await timer.time([span]);
  const three = await timer.time([span, span], { first: span });
  assertEquals([three.wall, three.cpu], [3 * one.wall, 3 * one.cpu!]);
  plan.dispose();
  timer.dispose();
});
