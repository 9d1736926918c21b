import { assertEquals } from "../support/assert/assert.ts";
import {
  formatChange,
  formatChangeInterval,
  formatDuration,
  formatFactor,
  formatPrecision,
  formatProbability,
  formatRate,
  formatShape,
  formatShare,
  formatThreshold,
} from "../../src/report/format.ts";

Deno.test("formatDuration() shows three digits and changes the unit where needed", () => {
  const known: [number, string][] = [
    [0.5, "0.500 ns"],
    [1, "1.00 ns"],
    [99.94, "99.9 ns"],
    [99.96, "100 ns"],
    [999.4, "999 ns"],
    [999.6, "1.00 µs"],
    [12_345, "12.3 µs"],
    [1_234_567, "1.23 ms"],
    [59e9, "59.0 s"],
    [1e15, "1000000 s"],
  ];
  for (const [value, text] of known) assertEquals(formatDuration(value), text);
});

Deno.test("formatRate() uses decimal prefixes", () => {
  assertEquals(formatRate(1.234e13, "FLOP/s"), "12.3 TFLOP/s");
  assertEquals(formatRate(4.5e9, "B/s"), "4.50 GB/s");
  assertEquals(formatRate(0, "B/s"), "0 B/s");
  assertEquals(formatRate(12, "op/s"), "12.0 op/s");
});

Deno.test("formatChange() shows a sign, and a factor in place of large percentages", () => {
  const known: [number, string][] = [
    [1, "0.0 %"],
    [1.0004, "0.0 %"],
    [0.9996, "0.0 %"],
    [1.126, "+12.6 %"],
    [0.5, "−50.0 %"],
    [12.34, "×12.3"],
    [1e7, "×1.0e+7"],
  ];
  for (const [ratio, text] of known) assertEquals(formatChange(ratio), text);
  assertEquals(formatChangeInterval({ low: 0.84, high: 1.126 }), "−16.0 % … +12.6 %");
  assertEquals(formatChangeInterval({ low: 8.092, high: 14.6 }), "×8.09 … ×14.6");
});

Deno.test("format functions show missing numbers as missing", () => {
  for (
    const format of [formatDuration, formatChange, formatShare, formatFactor, formatProbability]
  ) {
    assertEquals(format(undefined), "no data");
  }
  assertEquals(formatRate(undefined, "B/s"), "no data");
  assertEquals(formatPrecision(undefined), "");
});

Deno.test("formatShare(), formatThreshold(), formatPrecision() and formatProbability() round", () => {
  assertEquals([0.001234, 0.1234, 1, 12.5].map(formatShare), [
    "0.12 %",
    "12.3 %",
    "100 %",
    "1250 %",
  ]);
  assertEquals([0.05, 0.125, 0.001].map(formatThreshold), ["5 %", "12.5 %", "0.1 %"]);
  assertEquals([0.0123, 0.42].map(formatPrecision), ["±1.2 %", "±42 %"]);
  assertEquals([0.0004, 0.049, 1].map(formatProbability), ["<0.001", "0.049", "1.000"]);
  assertEquals([1, 12.34, 1234, 3e6].map(formatFactor), ["1.00×", "12.3×", "1234×", "3.0e+6×"]);
});

Deno.test("formatShape() joins short names and marks long ones", () => {
  assertEquals(formatShape({ B: 1, Hq: 8, Hkv: 2, T: 512, D: 64 }), "B1 Hq8 Hkv2 T512 D64");
  assertEquals(formatShape({ rows: 4, d: 8 }), "rows=4 d=8");
});
