import type { Gpu } from "../../../src/gpu/gpu.ts";
import { ceilingSizeWithin, predictRun } from "../../../src/measure/child/limit.ts";
import {
  operatorNamed,
  operatorNames,
  passesOf,
  passNamed,
} from "../../../src/measure/workloads/operators.ts";
import { lengthsText } from "../../../src/measure/workloads/operator.ts";
import { shapesOf } from "../../../src/measure/workloads/shapes.ts";
import type { GpuTimer, Span } from "../../../src/measure/timing.ts";
import {
  createWorkload,
  type Workload,
  type WorkloadOptions,
} from "../../../src/measure/workloads.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { smallShapes } from "../workloads/small_shapes.ts";
import { onEachRuntime, testGpu } from "../../support/gpu.ts";

Deno.test("smaller() ends, shrinks the work by about four at most, and keeps the group size", () => {
  for (const kernel of operatorNames) {
    for (const pass of passesOf(kernel)) {
      for (const { name, dimensions } of shapesOf(kernel, { grid: "full", software: false })) {
        const { smaller } = operatorNamed(kernel);
        const { roughWork } = passNamed(kernel, pass);
        let now: Readonly<Record<string, number>> | undefined = dimensions;
        for (let step = 0; now !== undefined; step++) {
          assert(step < 30, `${kernel} ${name} never ends`);
          const next = smaller(now);
          if (next === undefined) break;
          const ratio = roughWork(now) / roughWork(next);
          assert(ratio > 1 && ratio <= 4.1, `${kernel} ${name} shrinks by ${ratio}`);
          assertEquals(Object.keys(next), Object.keys(dimensions));
          const group = ({ Hq = 1, Hkv = 1 }: Readonly<Record<string, number>>) => Hq / Hkv;
          assertEquals(group(next), group(dimensions));
          assert(Object.values(next).every((size) => Number.isInteger(size) && size >= 1));
          now = next;
        }
        assert(roughWork(now!) < 3e8, `${kernel} ${name} stays large`);
      }
    }
  }
});

Deno.test("roughWork() is at most a quarter below an operator's operations, and its bytes", async () => {
  const gpu = await testGpu("deno");
  for (const kernel of operatorNames) {
    for (const pass of passesOf(kernel)) {
      for (const dimensions of smallShapes(kernel)) {
        const shape = { name: "small", dimensions };
        using workload = createWorkload(gpu, { kernel, pass, shape });
        const { flops, bytes } = workload.cost;
        const share = passNamed(kernel, pass).roughWork(dimensions) / Math.max(flops, bytes);
        assert(
          share >= 0.75 && share < 3,
          `${kernel} ${pass} ${lengthsText(dimensions)}: ${share}`,
        );
      }
    }
  }
});

/**
 * A fake GPU that computes nothing. Each timing takes 1 / `rate` ns per operation, but at least
 * `least` ns. `ran` lists the timings in ns.
 */
function fakeGpu(rate: number, least = 0) {
  const ran: number[] = [];
  let work = 0;
  const create = (_gpu: Gpu, { kernel, pass, shape }: WorkloadOptions) => {
    const amount = passNamed(kernel, pass).roughWork(shape.dimensions);
    return {
      plan: { encode: () => work += amount },
      dispose() {},
    } as unknown as Workload;
  };
  const timer: Pick<GpuTimer, "time"> = {
    time(spans: readonly Span[]) {
      work = 0;
      for (const span of spans) span(undefined as never);
      const time = Math.max(least, work / rate);
      ran.push(time);
      return Promise.resolve({ spans: [time], wall: time });
    },
  };
  const gpu = { run() {}, sync: () => Promise.resolve() } as unknown as Gpu;
  return { gpu, ran, options: { timer, createWorkload: create, limit: 0.5e9 } };
}

Deno.test("predictRun() never runs what takes longer than the limit, on fast and slow GPUs", async () => {
  for (const rate of [0.5, 2, 20, 500, 50_000]) {
    for (const kernel of operatorNames) {
      for (const pass of passesOf(kernel)) {
        for (const shape of shapesOf(kernel, { grid: "full", software: false })) {
          const { gpu, ran, options } = fakeGpu(rate, 1e6);
          const found = await predictRun(gpu, { kernel, pass, shape }, options);
          const truth = Math.max(1e6, passNamed(kernel, pass).roughWork(shape.dimensions) / rate);
          const what = `${kernel} ${pass} ${shape.name} at ${rate}: ${truth / 1e9} s`;
          assert(ran.every((time) => time <= options.limit), `${what}, ran ${ran.join(", ")}`);
          assertEquals(found !== undefined, truth > options.limit, what);
          if (found !== undefined) {
            assert(Math.abs(found / truth - 1) < 0.01, `${what}, told ${found}`);
          }
        }
      }
    }
  }
});

onEachRuntime("predictRun() runs smaller shapes of a real kernel, and frees them", async (gpu) => {
  const shape = { name: "long", dimensions: { rows: 2 ** 20, d: 512 } };
  const before = gpu.memory.buffers;
  const asked: number[] = [];
  const limit = 2e7; // small, so that predictRun() begins with a small shape
  const found = await predictRun(gpu, { kernel: "rms-norm", pass: "forward", shape }, {
    limit,
    // The times of a GPU that does two operations per ns. Each element needs 20 operations.
    timer: {
      time: () => Promise.resolve({ spans: [asked.at(-1)! * 20 * 512 / 2], wall: 0 }),
    },
    createWorkload(gpu, options) {
      asked.push(options.shape.dimensions.rows!);
      return createWorkload(gpu, options);
    },
  });
  assertEquals(asked, [256, 1024]);
  assert(Math.abs(found! / (2 ** 20 * 20 * 512 / 2) - 1) < 1e-9, `${found}`);
  assertEquals(gpu.memory.buffers, before);
});

onEachRuntime("ceilingSizeWithin() takes less work where the GPU is slow", async (gpu) => {
  const sizes = [];
  for (const time of [1e3, 50e6, 400e6]) {
    const timer = { time: () => Promise.resolve({ spans: [time], wall: time }) };
    sizes.push((await ceilingSizeWithin(gpu, { timer, limit: 0.5e9 })).invocations);
  }
  assert(sizes[0]! > sizes[1]! || gpu.info.software, sizes.join());
  assert(sizes[1]! > sizes[2]!, sizes.join());
  assert(sizes[2]! >= 2 ** 12, sizes.join());
});
