import { type BenchRow, benchTable } from "../../bench/table.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";

const info = {
  runtime: "deno",
  backend: "vulkan",
  vendor: "mesa",
  description: "",
  software: true,
} as const;
const timer = { kind: "timestamp", quantum: 32 } as const;

function row(variant: string, samples: number[]): BenchRow {
  const cost = { flops: 4e6, bytes: 1e6 };
  return { kernel: "v-scale", pass: "forward", shape: { name: "tiny" }, variant, cost, samples };
}

Deno.test("benchTable() gives median, rates and speed against naive", () => {
  const text = benchTable([row("portable", [1e6, 9e6, 2e6]), row("naive", [5e6])], { info, timer });
  const lines = text.trimEnd().split("\n");
  assertEquals(lines.length, 5);
  assertStringIncludes(lines[0]!, "mesa by deno on vulkan, computing on the CPU");
  assertStringIncludes(lines[0]!, "GPU timestamps in steps of 32.0 ns");
  assertEquals(lines[3]!.split(/ {2,}/), [
    "tiny",
    "v-scale",
    "forward",
    "portable",
    "2.00 ms",
    "2.00 GFLOP/s",
    "500 MB/s",
    "2.50×",
    "3",
  ]);
  assertEquals(lines[4]!.split(/ {2,}/).slice(3, 7), [
    "naive",
    "5.00 ms",
    "800 MFLOP/s",
    "200 MB/s",
  ]);
});

Deno.test("benchTable() names the clock, says which rows have no data and why, and leaves out rows that never ran", () => {
  const reason = "naive attentionForward: a buffer of 8 bytes is wanted, this adapter allows 4";
  const rows = [row("portable", [1e6]), { ...row("naive", []), reason }, row("other", [])];
  const text = benchTable(rows, { info, timer: { kind: "wall", quantum: 1000 } });
  assertStringIncludes(text, "wall time");
  assertStringIncludes(text, `no data: v-scale forward, tiny, naive: ${reason}`);
  assert(!text.includes("other"));
  assert(!text.includes("NaN"));
});
