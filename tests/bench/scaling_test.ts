import { formatBytes, scalingPicture, scalingTable } from "../../bench/scaling/picture.ts";
import { parseEarlier } from "../../bench/scaling/resume.ts";
import { runScaling, type ScalingOptions } from "../../bench/scaling/run.ts";
import { scalingSeries } from "../../bench/scaling/series.ts";
import { standalonePicture } from "../../src/report/plot_parts.ts";
import { createSvgDocument } from "../../src/report/svg_document.ts";
import { formatTerminalTable } from "../../src/report/table.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { gpuInfo } from "../support/gpu/info.ts";

const info = gpuInfo({
  software: true,
  limits: {
    maxBufferSize: 2 ** 27,
    maxStorageBufferBindingSize: 2 ** 27,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupsPerDimension: 65535,
  },
});

/** A session whose kernels take 1 ns of time and 2 ns of CPU time for each FLOP. */
function session(
  measured: string[],
  { wrong = "" }: { readonly wrong?: string } = {},
): ScalingOptions["session"] {
  return {
    choose: (questions) =>
      Promise.resolve(questions.map(() => ({ chosen: "portable", tuned: false }))),
    async measure({ jobs, result }) {
      for (const job of jobs) {
        const { kernel, pass, shape: { dimensions }, dtype, variant } = job;
        measured.push(`${kernel} ${pass} ${JSON.stringify(dimensions)}`);
        const { T = 1, Hq = 1, D = 1, rows = 1, d = 1 } = dimensions;
        const flops = (pass === "forward" ? 4 : 10) * T * T * Hq * D / 2 * rows * d;
        await result(job, {
          kernel,
          pass,
          shape: dimensions,
          dtype,
          variant,
          tuning: {},
          flops,
          bytes: flops,
          timer: { kind: "timestamp", quantum: 1 },
          ...kernel === wrong ? { status: "wrong" as const, reason: "off by one", samples: [] } : {
            samples: Array.from({ length: 8 }, (_, i) => flops * (1 + i / 1000)),
            cpuSamples: Array.from({ length: 8 }, (_, i) => 2 * flops * (1 + i / 1000)),
          },
        });
      }
    },
  };
}

Deno.test("runScaling() measures all series, and leaves out calls that would take too long", async () => {
  const measured: string[] = [];
  const series = scalingSeries({ software: true });
  const results = await runScaling(series, {
    session: session(measured),
    info,
    budget: 100,
    seed: 1,
    processors: 2,
  });
  assertEquals(results.length, 10);
  const [forward, backward] = results;
  // A call may take a twentieth of the budget: 5 s. On two processors, one head of D = 64 takes
  // 2 T² D ns forward (8.6 s at T = 8192) and 5 T² D ns backward (5.4 s at T = 4096).
  const status = (result: typeof forward) => result!.points.map(({ status }) => status);
  assertEquals(status(forward), [...Array(6).fill("ok"), "left-out", "left-out"]);
  assertEquals(status(backward), [...Array(5).fill("ok"), ...Array(3).fill("left-out")]);
  assertStringIncludes(forward!.points[6]!.reason!, "8.6 s");
  for (const { perUnit, cpu, status, memory } of forward!.points) {
    assert(memory.tensors > 0);
    if (status !== "ok") continue;
    assert(Math.abs(perUnit! - 1.0035) < 1e-3 && Math.abs(cpu!.perUnit! - 2.007) < 1e-3);
  }
  assert(measured.length > 40);
});

Deno.test("scalingPicture() and scalingTable() show a run", async () => {
  const series = scalingSeries({ software: true });
  const options = {
    session: session([], { wrong: "v-scale" }),
    info,
    budget: 100,
    seed: 1,
    processors: 2,
  };
  const results = await runScaling(series, options);
  const table = formatTerminalTable(scalingTable(results, { caption: "a machine" }));
  assertStringIncludes(table, "left-out: a run would take about 8.6 s");
  assertStringIncludes(table, "wrong: off by one");
  assertStringIncludes(table, "997 MFLOP/s");
  assert(!/NaN|undefined|Infinity/.test(table), table);
  const picture = scalingPicture(results, {
    document: createSvgDocument(),
    machine: "<script>alert(1)</script>",
  });
  const svg = standalonePicture(picture!);
  assert(!svg.includes("<script") && !/NaN|undefined/.test(svg));
  assertStringIncludes(svg, "CPU ps per FLOP");
  assertStringIncludes(svg, "a T × T matrix");
  assert(!svg.includes("V-scale:"), "a panel without a point");
  assertEquals(scalingPicture([], { document: createSvgDocument(), machine: "" }), undefined);
});

Deno.test("runScaling() uses CPU time if it is measured, so that a busy machine passes", async () => {
  const busy = session([]);
  const series = scalingSeries({ software: true, longest: 8192 }).slice(0, 1);
  const run = async (processors: number) =>
    await runScaling(series, { session: busy, info, budget: 100, seed: 1, processors });
  // The longest call takes 17.2 s of CPU time, which is 4.3 s on four processors. 5 s are allowed.
  assertEquals((await run(4))[0]!.points.at(-1)!.status, "ok");
  assertEquals((await run(1))[0]!.points.at(-1)!.status, "left-out");
});

Deno.test("runScaling() reuses an earlier run's measurements, and only those", async () => {
  const series = scalingSeries({ software: true }).slice(0, 1);
  const options = { info, budget: 100, seed: 1, processors: 2 };
  const first: string[] = [];
  const results = await runScaling(series, { ...options, session: session(first) });
  const file = {
    schema: "gradsink-scaling/1",
    suite: { version: "1", commit: null },
    date: "2026-11-25",
    adapter: "a",
    series: results,
  };
  const earlier = parseEarlier(JSON.stringify(file));
  const second: string[] = [];
  const again = { ...options, session: session(second), earlier };
  assertEquals(await runScaling(series, again), results);
  assertEquals(second, []); // calls that were left out are left out again
  // A call that belongs to two series appears in both.
  const shared = scalingSeries({ software: true }).filter(({ kernel }) => kernel === "v-scale");
  const all = await runScaling(shared, { ...options, session: session([]) });
  const known = parseEarlier(JSON.stringify({ ...file, series: all }));
  const other = session(second);
  const repeated = await runScaling(shared, { ...options, session: other, earlier: known });
  assertEquals(repeated.map(({ points }) => points.map(({ x }) => x)), [
    ...Array(2).fill([128, 512, 2048, 8192, 16384]),
    ...Array(2).fill([16, 32, 64, 128, 256]),
  ]);
  const damaged = JSON.stringify(file).replace(/"time":[\d.]+/, '"time":"fast"');
  const third: string[] = [];
  const rest = { ...options, session: session(third), earlier: parseEarlier(damaged) };
  assertEquals(await runScaling(series, rest), results);
  assertEquals(third, [first[0]!]);
  for (const text of ["", "{}", "[]", "null", '{"schema":"gradsink-scaling/1","series":[]}']) {
    assertEquals(parseEarlier(text), undefined);
  }
});

Deno.test("runScaling() ends when it is interrupted, and has reported every finished call", async () => {
  let asked = 0;
  const reported: number[] = [];
  const results = await runScaling(scalingSeries({ software: true }), {
    session: session([]),
    info,
    budget: 100,
    seed: 1,
    processors: 2,
    interrupted: () => ++asked > 2,
    result(results) {
      reported.push(results.reduce((sum, { points }) => sum + points.length, 0));
      return Promise.resolve();
    },
  });
  assertEquals(reported, [1]);
  assertEquals(results[0]!.points.length, 1);
  assertEquals(results[1]!.points.length, 0);
});

Deno.test("formatBytes() uses binary units", () => {
  assertEquals([0, 40, 1024, 1536, 2 ** 20, 5 * 2 ** 30].map(formatBytes), [
    "0 B",
    "40 B",
    "1 KiB",
    "1.5 KiB",
    "1 MiB",
    "5 GiB",
  ]);
});
