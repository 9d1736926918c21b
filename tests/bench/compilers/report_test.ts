/** The report of the compiled kernels. */
import type { GpuResult } from "../../../bench/compilers/child.ts";
import type { Compiled } from "../../../bench/compilers/collect.ts";
import { pretendedGpus } from "../../../bench/compilers/gpus.ts";
import {
  formatJson,
  formatMarkdown,
  kernelText,
  longTable,
  reportOf,
  spillingDefaults,
} from "../../../bench/compilers/report.ts";
import { cellText } from "../../../src/report/table.ts";
import { assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";

const loop = {
  instructions: 100,
  fma: 58,
  workgroupMemory: 1,
  memory: 1,
  depth: 1,
  innermost: true,
};

function compiled(spills: number, changes: Partial<Compiled> = {}): Compiled {
  return {
    operator: "matmul",
    variant: "tiled-128",
    shape: "512³",
    file: "matmul/tiled.wgsl.ts",
    chosen: false,
    code: 0,
    workgroup: [16, 16, 1],
    executables: [{
      name: "compute",
      subgroupSize: 8,
      statistics: {
        "Max live registers": 98,
        "Spills": spills,
        "Fills": 0,
        "Instructions": 1776,
        "Workgroup Memory Size": 8704,
      },
    }],
    loops: [loop],
    ...changes,
  };
}

function result(name: string, list: readonly Compiled[], problem?: string): GpuResult {
  const gpu = pretendedGpus.find((each) => each.name === name)!;
  return { gpu, info: undefined, compiled: list, ...problem === undefined ? {} : { problem } };
}

const results = [
  result("dg2", [
    compiled(0),
    compiled(0, { shape: "2048³", chosen: true }), // the same kernel
    compiled(7, { variant: "tiled", code: 2 }),
    compiled(5, { variant: "tiled-64", code: 3, chosen: true }),
  ]),
  result("adl", [
    compiled(0, { executables: [], error: "the compiler died: SIGSEGV" }),
  ], "not done after 600 s"),
];

Deno.test("reportOf() makes one row of calls that run the same kernel", () => {
  const { rows } = reportOf(results);
  assertEquals(rows.map(({ shapes, chosen, spills }) => [shapes, chosen, spills]), [
    [["512³", "2048³"], ["2048³"], 0],
    [["512³"], [], 7],
    [["512³"], ["512³"], 5],
  ]);
  assertEquals(kernelText(rows[0]!), "matmul tiled-128 512³, 2048³ tiled");
  assertEquals(rows[0]!.fmaShare, 0.58);
});

Deno.test("reportOf() lists kernels that did not compile or were not reached", () => {
  assertEquals(reportOf(results).failures, [
    { gpu: "adl", kernel: "", reason: "not done after 600 s" },
    {
      gpu: "adl",
      kernel: "matmul tiled-128 512³ matmul/tiled.wgsl.ts",
      reason: "the compiler died: SIGSEGV",
    },
  ]);
});

Deno.test("spillingDefaults() lists only defaults", () => {
  assertEquals(spillingDefaults(reportOf(results)).map(({ variant }) => variant), ["tiled-64"]);
});

Deno.test("longTable() has a line for every kernel and GPU", () => {
  const { rows } = longTable(reportOf(results));
  assertEquals(rows.map((row) => row.map(cellText).join("|")), [
    "dg2|matmul tiled-128 512³, 2048³ tiled|16×16|8|98|0||1776|58 %|default",
    "dg2|matmul tiled 512³ tiled|16×16|8|98|7||1776|58 %|",
    "dg2|matmul tiled-64 512³ tiled|16×16|8|98|5||1776|58 %|default",
  ]);
});

Deno.test("formatMarkdown() has a column for every GPU, and marks defaults and spills", () => {
  const other = result("bmg", [compiled(0, { chosen: true })]);
  const text = formatMarkdown(reportOf([results[0]!, other]), "deno task compilers --gpus=dg2");
  assertStringIncludes(text, "```sh\ndeno task compilers --gpus=dg2\n```\n");
  assertStringIncludes(text, "| kernel | dg2 | bmg |");
  assertStringIncludes(text, "98r s8 58% \\!5 ←");
  assertStringIncludes(text, "| 98r s8 58% \\!7 | – |");
  assertStringIncludes(text, "98r s8 58% ← |");
});

Deno.test("formatJson() holds every row, with its loops", () => {
  const file = JSON.parse(formatJson(reportOf(results), results, "deno"));
  assertEquals(file.schema, "gradsink-compilers/1");
  assertEquals(file.gpus.map(({ name }: { name: string }) => name), ["dg2", "adl"]);
  assertEquals(file.rows[0].loops, [loop]);
  assertEquals([file.rows.length, file.failures.length], [3, 2]);
});
