import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "../support/assert/assert.ts";
import { compareResultFiles, NothingComparableError } from "../../src/measure/comparison.ts";
import { machinesOf } from "../../src/measure/comparison/machine.ts";
import type { Ceilings, Measurement, ResultFile } from "../../src/measure/result_file.ts";
import { exceededCeilings, rooflinePosition } from "../../src/measure/ceilings/roofline.ts";
import { noisySamples, syntheticMeasurement, syntheticResultFile } from "./synthetic.ts";
import { near } from "../support/assert/near.ts";

function samples(median: number, seed = 1, count = 40): number[] {
  return noisySamples({ seed, count, median, sigma: 0.01, outliers: 0 });
}

function named(name: string, fields: Partial<ResultFile>): { name: string; file: ResultFile } {
  return { name, file: syntheticResultFile({ label: name, ...fields }) };
}

/** A file with one measurement per element of `list`, whose fields replace the usual ones. */
function withMeasurements(name: string, ...list: Partial<Measurement>[]): ReturnType<typeof named> {
  return named(name, { measurements: list.map(syntheticMeasurement) });
}

Deno.test("compareResultFiles() judges the second file against the first", () => {
  const { rows, totals } = compareResultFiles([
    withMeasurements("a", { samples: samples(1000) }, { pass: "backward", samples: samples(3000) }),
    withMeasurements("b", { samples: samples(800, 2) }, {
      pass: "backward",
      samples: samples(3300, 3),
    }),
  ]);
  assertEquals(rows.map(({ pass }) => pass), ["forward", "backward"]);
  assertEquals(rows.map(({ cells }) => cells[1]!.pair?.verdict), ["faster", "slower"]);
  assertEquals(rows.map(({ cells }) => cells[0]!.pair), [undefined, undefined]);
  // The median of 40 samples that vary by 1 % is off by about 0.2 %. The ratio of two such medians
  // is off by about 0.3 %.
  near(rows[0]!.cells[1]!.pair?.ratio, 0.8, 0.01);
  assertEquals(rows[0]!.cells.map(({ rank }) => rank), [2, 1]);
  near(rows[0]!.cells[0]!.relativeToBest, 1.25, 0.01);
  near(totals[1]!.ratioToFirst, Math.sqrt(0.8 * 1.1), 0.01);
  near(totals[0]!.geometricMean, Math.sqrt(1.25), 0.01);
  assertEquals(totals[1]!.verdicts.faster, 1);
  assertEquals(totals[0]!.meanRank, 1.5);
});

Deno.test("compareResultFiles() compares only equal measurements", () => {
  const fields: Partial<Measurement>[] = [
    { kernel: "rms_norm" },
    { pass: "backward" },
    { dtype: "f16" },
    { dtype: "f16+f32" },
    { cache: "cold" },
    { shape: { B: 1, Hq: 8, Hkv: 2, T: 512, D: 32 } },
    { shape: { B: 1, Hq: 8, Hkv: 2, T: 512 } },
  ];
  for (const changed of fields) {
    const error = assertThrows(
      () => compareResultFiles([withMeasurements("a", {}), withMeasurements("b", changed)]),
      NothingComparableError,
    );
    assertStringIncludes(error.message, "a has 1, b has 1");
  }
});

Deno.test("compareResultFiles() ignores the order of dimensions, an omitted cache and the variant", () => {
  const { rows } = compareResultFiles([
    withMeasurements("a", { shape: { T: 4, D: 8 }, variant: "tiled", tuning: { rows: 8 } }),
    withMeasurements("b", { shape: { D: 8, T: 4 }, cache: "hot" }),
  ]);
  assertEquals(rows.length, 1);
});

Deno.test("compareResultFiles() takes the chosen variant, else the fastest valid one", () => {
  const file = withMeasurements(
    "a",
    { variant: "slow", samples: samples(2000) },
    { variant: "fast", samples: samples(1000) },
    { variant: "wrong", samples: samples(100), status: "wrong" },
  );
  const other = withMeasurements(
    "b",
    { variant: "slow", samples: samples(2000), chosen: true },
    { variant: "fast", samples: samples(1000) },
  );
  const { rows } = compareResultFiles([file, other]);
  assertEquals(rows[0]!.cells.map(({ measurement }) => measurement?.variant), ["fast", "slow"]);
});

Deno.test("compareResultFiles() shows what failed, and ranks only complete rows", () => {
  const comparison = compareResultFiles([
    withMeasurements("a", {}, { pass: "backward" }),
    withMeasurements("b", {}, { pass: "backward", status: "timed-out", samples: [] }),
    withMeasurements("c", {}),
  ]);
  assertEquals(comparison.rows.map(({ cells }) => cells.map(({ status }) => status)), [
    ["ok", "ok", "ok"],
    ["ok", "timed-out", "missing"],
  ]);
  assertEquals(comparison.completeRows, 1);
  assertEquals(comparison.rows[1]!.cells[1]!.pair?.verdict, "no data");
  assertEquals(comparison.rows[1]!.cells[2]!.pair, undefined);
  assertEquals(comparison.totals[1]!.verdicts["no data"], 1);
});

Deno.test("compareResultFiles() gives the same answer for the same files", () => {
  const files = [
    withMeasurements("a", { samples: samples(1000, 7) }),
    withMeasurements("b", { samples: samples(1020, 8) }),
  ];
  assertEquals(compareResultFiles(files), compareResultFiles(structuredClone(files)));
});

Deno.test("compareResultFiles() corrects p-values over the whole table", () => {
  const shapes = [1, 2, 3, 4].map((B) => ({ shape: { B } }));
  const { rows } = compareResultFiles([
    withMeasurements("a", ...shapes.map((s, i) => ({ ...s, samples: samples(1000, i) }))),
    withMeasurements("b", ...shapes.map((s, i) => ({ ...s, samples: samples(1000, i + 50) }))),
    withMeasurements("c", ...shapes.map((s, i) => ({ ...s, samples: samples(2000, i + 99) }))),
  ]);
  const pairs = rows.flatMap(({ cells }) => cells.slice(1).map(({ pair }) => pair!));
  assertEquals(pairs.length, 8);
  const least = pairs.reduce((a, b) => a.pValue! < b.pValue! ? a : b);
  near(least.correctedPValue, 8 * least.pValue!, 1e-12);
  assert(pairs.every(({ pValue, correctedPValue }) => correctedPValue! >= pValue!));
});

Deno.test("compareResultFiles() warns about anything that weakens it", () => {
  const base = syntheticResultFile();
  const { warnings } = compareResultFiles([
    named("a", { warnings: ["the battery was low"] }),
    named("b", {
      status: "incomplete",
      suite: { version: "0.2.0", commit: null },
      measurements: [
        syntheticMeasurement({ timer: { kind: "wall", quantum: 1 }, flops: 1 }),
        syntheticMeasurement({ kernel: "v_scale" }),
      ],
    }),
    { name: "copy.json", file: { ...base, label: "c" } },
  ]);
  const text = warnings.join("\n");
  for (
    const part of [
      "b: the run is incomplete",
      "versions differ",
      "GPU timestamps are compared with wall time, which includes submission, in 1 row",
      "count flops or bytes differently",
      "b: 1 measurement left out",
      "a and c hold the same samples",
      "a: the battery was low",
    ]
  ) assertStringIncludes(text, part);
});

Deno.test("compareResultFiles() warns if all rows change together on one machine", () => {
  const table = (name: string, factor: number, vendor = "nobody") =>
    named(name, {
      label: "one machine",
      adapter: { vendor },
      measurements: Array.from({ length: 8 }, (_, B) =>
        syntheticMeasurement({
          shape: { B },
          samples: samples(1000 * factor, B + Math.round(100 * factor)),
        })),
    });
  const moved = "moved together";
  assertStringIncludes(
    compareResultFiles([table("a", 1), table("b", 1.08)]).warnings.join(),
    moved,
  );
  for (const other of [table("b", 1), table("b", 1.08, "else")]) {
    assert(!compareResultFiles([table("a", 1), other]).warnings.join().includes(moved));
  }
});

Deno.test("compareResultFiles() refuses one file and a bad threshold", () => {
  const a = withMeasurements("a", {});
  assertThrows(() => compareResultFiles([a]), TypeError, "1 files given");
  assertThrows(() => compareResultFiles([a, a], { threshold: -1 }), RangeError, "threshold is -1");
});

Deno.test("compareResultFiles() has no verdict for empty samples, and never NaN", () => {
  const comparison = compareResultFiles([
    named("a", {
      ceilings: {},
      measurements: [
        syntheticMeasurement({ flops: 0, bytes: 0 }),
        syntheticMeasurement({ pass: "backward", samples: [] }),
        syntheticMeasurement({ kernel: "v_scale", samples: [5] }),
      ],
    }),
    withMeasurements("b", { flops: 0, bytes: 0 }, { pass: "backward" }, {
      kernel: "v_scale",
      samples: [5, 5],
    }),
  ]);
  assertEquals(comparison.rows.map(({ kernel }) => kernel), ["attention", "v_scale"]);
  const visit = (value: unknown): void => {
    if (typeof value === "number") assert(Number.isFinite(value), "a number is not finite");
    if (typeof value === "object" && value !== null) Object.values(value).forEach(visit);
  };
  visit(comparison);
  assertEquals(comparison.totals[0]!.rooflineShare, undefined);
  assertEquals(comparison.rows[1]!.cells[1]!.pair?.verdict, "ambiguous");
});

Deno.test("machinesOf() names machines apart, by label, adapter, runtime and file", () => {
  const label = { label: "desk" };
  const plain = syntheticResultFile();
  const name = (results: { name: string; file: ResultFile }[]) =>
    machinesOf(results).map((machine) => machine.name);
  assertEquals(name([{ name: "a", file: plain }]), ["made-up GPU"]);
  assertEquals(
    name([
      { name: "x/a.json", file: { ...plain, runtime: { name: "dawn" } } },
      { name: "x/b.json", file: plain },
    ]),
    ["made-up GPU (dawn)", "made-up GPU (deno)"],
  );
  assertEquals(
    name([{ name: "x/a.json", file: { ...plain, ...label } }, {
      name: "b.json",
      file: { ...plain, ...label },
    }]),
    ["desk (a.json)", "desk (b.json)"],
  );
  assertEquals(
    name([{ name: "a", file: plain }, { name: "a", file: plain }, { name: "a", file: plain }]),
    ["made-up GPU", "made-up GPU #2", "made-up GPU #3"],
  );
  assertEquals(
    name([{ name: "a", file: { ...plain, adapter: { vendor: "nvidia", device: "0x1" } } }]),
    ["nvidia 0x1"],
  );
});

Deno.test("rooflinePosition() takes the lower ceiling", () => {
  const ceilings = {
    f32Fma: { value: 1e12, unit: "flop/s" },
    f16Fma: { value: 2e12, unit: "flop/s" },
    copyBandwidth: { value: 1e11, unit: "byte/s" },
  } as const;
  const at = (flops: number, bytes: number, dtype = "f32") =>
    rooflinePosition({ flops, bytes, dtype }, ceilings);
  // 1e9 flops at 1e12 flop/s take 1 ms; 1e7 bytes at 1e11 B/s take 0.1 ms.
  const leastTimeInterval = undefined;
  assertEquals(at(1e9, 1e7), {
    ...{ intensity: 100, bound: "arithmetic", leastTime: 1e6, leastTimeInterval },
  });
  assertEquals(at(1e9, 1e7, "f16").leastTime, 5e5);
  assertEquals(at(1e9, 1e7, "f16+f32").leastTime, 1e6); // f16+f32 adds in f32
  assertEquals(at(1e7, 1e7), {
    ...{ intensity: 1, bound: "bandwidth", leastTime: 1e5, leastTimeInterval },
  });
  assertEquals(at(0, 0).leastTime, undefined);
  assertEquals(at(1, 0).intensity, undefined);
  assertEquals(rooflinePosition({ flops: 1, bytes: 1, dtype: "f32" }, {}).leastTime, undefined);
  assertEquals(
    rooflinePosition({ flops: 1, bytes: 1, dtype: "f16" }, { ...ceilings, f16Fma: null }).leastTime,
    undefined,
  );
});

Deno.test("compareResultFiles() gives each machine its own roofline share", () => {
  const { rows } = compareResultFiles([
    named("a", { measurements: [syntheticMeasurement({ flops: 9e9, bytes: 1, samples: [2e6] })] }),
    named("b", {
      ceilings: {},
      measurements: [syntheticMeasurement({ flops: 9e9, bytes: 1, samples: [2e6] })],
    }),
  ]);
  // At the first file's ceiling of 9e12 flop/s, 9e9 flops take 1 ms, half of the measured 2 ms. The
  // second file has no ceiling.
  assertEquals(rows[0]!.cells.map(({ rooflineShare }) => rooflineShare), [0.5, undefined]);
  assertEquals(rows[0]!.cells[0]!.flopsPerSecond, 4.5e12);
});

Deno.test("exceededCeilings() names the measurement that exceeds a ceiling the most", () => {
  const ceilings: Ceilings = {
    f32Fma: { value: 1e9, unit: "flop/s" },
    copyBandwidth: { value: 1e9, unit: "byte/s" },
  };
  const of = (variant: string, fields: Partial<Measurement>) =>
    syntheticMeasurement({ variant, flops: 0, bytes: 0, samples: Array(20).fill(1000), ...fields });
  const measurements = [
    of("below", { flops: 999, bytes: 999 }),
    of("above", { flops: 1500 }),
    of("far above", { flops: 2000 }),
    of("wrong", { flops: 9000, status: "wrong" }),
    of("without data", { flops: 9000, samples: [] }),
    of("cached", { bytes: 3000 }),
    of("half", { flops: 5000, dtype: "f16" }), // its ceiling is unknown
  ];
  const found = exceededCeilings({ ceilings, measurements });
  assertEquals(
    [...found].map(([name, { measurement, factor }]) => [name, measurement.variant, factor]),
    [["f32Fma", "far above", 2], ["copyBandwidth", "cached", 3]],
  );
  assertEquals(exceededCeilings({ ceilings: {}, measurements }).size, 0);
});
