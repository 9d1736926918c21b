/** The tables at the end of a bench run. */
import stringWidth from "string-width";
import { parseResultFile } from "../../src/measure/result_file/parse.ts";
import { formatRun } from "../../src/report/run_table.ts";
import { syntheticMeasurement, syntheticResultFile } from "../measure/synthetic.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { testWith } from "../support/permitted.ts";

const test = testWith("read");

const fixtures = new URL("../../fixtures/", import.meta.url);

function tableOf(text: string): string[] {
  const lines = text.slice(text.indexOf("Measurements")).split("\n");
  const isRow = (line: string) => /^((for|back)ward .*|[a-z-]+)$/.test(line);
  return lines.slice(0, lines.findIndex((line, i) => i > 3 && !isRow(line)));
}

test("formatRun() fits real machines' files into 120 characters", async () => {
  let files = 0;
  for await (const { name } of Deno.readDir(fixtures)) {
    if (!name.endsWith(".json")) continue;
    const text = await Deno.readTextFile(new URL(name, fixtures));
    if (!text.includes('"gradsink-results/1"')) continue;
    const file = parseResultFile(text, name);
    const table = tableOf(formatRun(file));
    assert(table.length >= file.measurements.length, `${name}: ${table.length} lines`);
    for (const line of table) assert(stringWidth(line) <= 120, `${name}: ${line}`);
    files++;
  }
  assert(files >= 4, `${files} files`);
});

Deno.test("formatRun() says each remark once, below the table, and marks tuned rows", () => {
  const file = syntheticResultFile({
    measurements: [
      syntheticMeasurement({ tuning: { tuned: true }, warnings: ["slow \u001b[31mbus"] }),
      syntheticMeasurement({ pass: "backward", warnings: ["slow \u001b[31mbus", "late"] }),
    ],
  });
  const text = formatRun(file);
  assertStringIncludes(text, "portable*");
  assertStringIncludes(text, "\n* chosen by deno task tune\n");
  assertEquals(text.match(/^1: slow .*bus$/gm)?.length, 1);
  assert(/forward .* 1\n/.test(text) && /backward .* 1,2\n/.test(text), text);
  assert(!text.includes("\u001b[31m"), "a stranger's color reached the terminal");
});

Deno.test("formatRun() gives the rate of the resource that bounds a row, and all columns on request", () => {
  const compute = syntheticMeasurement({ flops: 1e12, bytes: 1e3, samples: [1e9] });
  const memory = syntheticMeasurement({ flops: 1e3, bytes: 1e12, samples: [1e9] });
  const file = syntheticResultFile({ measurements: [compute, memory] });
  const rows = tableOf(formatRun(file)).slice(4);
  assert(rows[0]!.includes("1.00 TFLOP/s") && !rows[0]!.includes("B/s"), rows[0]);
  assert(rows[1]!.includes("1.00 TB/s") && !rows[1]!.includes("FLOP"), rows[1]);
  const wide = formatRun(file, { wide: true });
  for (const column of ["arithmetic", "traffic", "95 % interval", "samples", "remarks"]) {
    assertStringIncludes(wide, column);
  }
});

Deno.test("formatRun() marks measurements above their roofline, and the ceiling that they exceed", () => {
  const within = syntheticMeasurement({
    pass: "backward",
    flops: 1e3,
    samples: Array(20).fill(1e6),
  });
  const above = syntheticMeasurement({ flops: 1e12, bytes: 1e3, samples: Array(20).fill(1e6) });
  const file = (measurements: (typeof above)[]) =>
    syntheticResultFile({
      measurements,
      ceilings: {
        f32Fma: { value: 8e14, unit: "flop/s", method: "16 f32 accumulators" },
        copyBandwidth: { value: 4e11, unit: "byte/s", method: "coalesced" },
      },
    });
  for (const wide of [false, true]) {
    const text = formatRun(file([within, above]), { wide });
    assertStringIncludes(text, "exceeded 1.25× by");
    assert(!text.includes("16 f32 accumulators"), "the mark stands where the method would");
    assertStringIncludes(text, "coalesced");
    assertEquals(text.match(/faster than its roofline/g)?.length, 1, text);
    const fine = formatRun(file([within]), { wide });
    assert(!/exceeded|faster than its roofline/.test(fine), fine);
    assertStringIncludes(fine, "16 f32 accumulators");
  }
});

Deno.test("formatRun() compares learned sinks and V-scale with plain attention of the same run", () => {
  const samples = (time: number) => Array(20).fill(time);
  const other = { kernel: "attention-sink-logit", samples: samples(1.02e6) };
  const plain = syntheticMeasurement({ samples: samples(1e6) });
  const text = (...measurements: (typeof plain)[]) =>
    formatRun(syntheticResultFile({ measurements }));
  const both = text(plain, syntheticMeasurement(other));
  assert(/^sink-logit +forward +B1 Hq8 Hkv2 T512 D64 +hot +1\.02× \(/m.test(both), both);
  assert(!both.includes("CPU time"));
  const cpu = (measurement: typeof plain, time: number) => ({
    ...measurement,
    cpuSamples: samples(time),
  });
  const withCpu = text(cpu(plain, 2e6), cpu(syntheticMeasurement(other), 2.02e6));
  assert(/1\.02× \(.*\) +1\.01× \(/.test(withCpu), withCpu);
  // No comparison is made if the pass, shape, variant or cache differs from plain attention's, or
  // if the operator is unknown or is not attention.
  const others = [
    { pass: "backward" },
    { shape: { ...plain.shape, T: 256 } },
    { variant: "tiled-64x32" },
    { cache: "cold" as const },
    { kernel: "attention-of-others" },
    { kernel: "matmul" },
  ];
  for (const change of others) {
    const alone = text(plain, syntheticMeasurement({ ...other, ...change }));
    assert(!alone.includes("Time ÷ that of plain attention"), JSON.stringify(change));
  }
});
