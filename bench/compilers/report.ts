/** The compiled kernels' figures, as tables and as JSON. */
import {
  formatMarkdownTable,
  numberColumns,
  type Table,
  textColumns,
} from "../../src/report/table.ts";
import { type AssemblyLoop, fmaShare } from "./assembly.ts";
import type { GpuResult } from "./child.ts";
import { type Figures, figuresOf } from "./figures.ts";

/** A kernel's figures on one GPU. */
export interface ReportRow extends Figures {
  readonly gpu: string;
  readonly operator: string;
  readonly variant: string;
  /** The lengths of each call that runs this kernel, such as `T1024 D64`. */
  readonly shapes: readonly string[];
  /** The part of `shapes` for which this kernel runs by default. */
  readonly chosen: readonly string[];
  readonly file: string;
  readonly workgroup: readonly number[];
  /** The share of FMAs among the instructions of the innermost loops that contain FMAs. */
  readonly fmaShare: number | undefined;
  readonly loops: readonly AssemblyLoop[];
}

export interface ReportFailure {
  readonly gpu: string;
  readonly kernel: string;
  readonly reason: string;
}

/** The whole report. */
export interface Report {
  readonly rows: readonly ReportRow[];
  readonly failures: readonly ReportFailure[];
}

/** Makes one report of all GPUs' results. Calls that run the same kernel on a GPU share a row. */
export function reportOf(results: readonly GpuResult[]): Report {
  const failures: ReportFailure[] = [];
  const rows = results.flatMap(({ gpu, compiled, problem }): ReportRow[] => {
    if (problem !== undefined) failures.push({ gpu: gpu.name, kernel: "", reason: problem });
    const merged = new Map<string, ReportRow>();
    for (const { operator, variant, shape, file, chosen, code, ...result } of compiled) {
      const executable = result.executables[0];
      const kernel = `${operator} ${variant} ${shape} ${file}`;
      if (executable === undefined) {
        failures.push({ gpu: gpu.name, kernel, reason: result.error ?? "the driver says nothing" });
        continue;
      }
      const key = `${operator} ${variant} ${code}`;
      const found = merged.get(key);
      const loops = result.loops ?? [];
      merged.set(key, {
        gpu: gpu.name,
        operator,
        variant,
        shapes: [...found?.shapes ?? [], shape],
        chosen: [...found?.chosen ?? [], ...chosen ? [shape] : []],
        file,
        workgroup: result.workgroup,
        ...figuresOf(executable, gpu),
        fmaShare: fmaShare(loops),
        loops,
      });
    }
    return [...merged.values()];
  });
  return { rows, failures };
}

/** The kernels that run by default and spill registers. */
export function spillingDefaults({ rows }: Report): ReportRow[] {
  return rows.filter(({ chosen, spills }) => chosen.length > 0 && spills > 0);
}

/** A row's kernel in a few words. */
export function kernelText({ operator, variant, shapes, file }: ReportRow): string {
  const name = file.replace(/^.*\/|\.wgsl(\.ts)?$/g, "");
  return [operator, variant, shapes.join(", "), name].filter((text) => text !== "").join(" ");
}

function percent(share: number | undefined): string {
  return share === undefined ? "" : `${Math.round(100 * share)} %`;
}

/** A table with one row per kernel and GPU. */
export function longTable({ rows }: Report): Table {
  return {
    columns: [
      ...textColumns("GPU", "kernel", "workgroup"),
      ...numberColumns("subgroup", "registers", "spills", "occupancy"),
      ...numberColumns("instructions", "FMAs in loops"),
      { title: "default" },
    ],
    rows: rows.map((row) => [
      row.gpu,
      kernelText(row),
      row.workgroup.filter((length) => length > 1).join("×") || "1",
      String(row.subgroupSize),
      String(row.registers),
      row.spills === 0 ? "0" : { text: String(row.spills), tone: "bad" },
      String(row.occupancy ?? ""),
      String(row.instructions),
      percent(row.fmaShare),
      row.chosen.length === 0 ? "" : { text: "default", tone: "good" },
    ]),
  };
}

/** Explains the cells of {@linkcode wideTable}. */
export const LEGEND =
  "Registers of an invocation (AMD: vector registers; Apple: halves of 16 bits; Adreno: registers " +
  "of four numbers; Intel: live registers of a thread, of 128, bmg of 256, and the subgroup's lanes); occupancy (AMD: subgroups of " +
  "a SIMD unit; NVIDIA: of a multiprocessor; Adreno: of a core; Apple: invocations of a core); the share of FMAs among " +
  "the instructions of the loops; spills, if any; ← runs by default.";

function cellOf(row: ReportRow): string {
  const occupancy = row.occupancy === undefined ? `s${row.subgroupSize}` : `${row.occupancy}w`;
  const spills = row.spills === 0 ? "" : ` !${row.spills}`;
  const share = row.fmaShare === undefined ? "" : ` ${percent(row.fmaShare).replace(" ", "")}`;
  return `${row.registers}r ${occupancy}${share}${spills}${row.chosen.length > 0 ? " ←" : ""}`;
}

/** A table with one row per kernel and one column per GPU. */
export function wideTable({ rows }: Report): Table {
  const gpus = [...new Set(rows.map(({ gpu }) => gpu))];
  const kernels = new Map<string, Map<string, string>>();
  for (const row of rows) {
    const name = kernelText(row);
    const cells = kernels.get(name) ?? new Map<string, string>();
    kernels.set(name, cells.set(row.gpu, cellOf(row)));
  }
  return {
    columns: [{ title: "kernel" }, ...gpus.map((title) => ({ title }))],
    rows: [...kernels].map(([name, cells]) => [name, ...gpus.map((gpu) => cells.get(gpu) ?? "–")]),
  };
}

/** The wide table in Markdown, with its legend and the command line that makes it. */
export function formatMarkdown(report: Report, command: string): string {
  return `\`\`\`sh\n${command}\n\`\`\`\n\n${LEGEND}\nNothing is timed.\n\n` +
    formatMarkdownTable(wideTable(report));
}

/** The report as JSON, with the adapters that the WebGPU implementation described. */
export function formatJson(
  report: Report,
  results: readonly GpuResult[],
  runtime: "deno" | "dawn",
): string {
  const gpus = results.map(({ gpu: { name, product }, info }) => ({
    name,
    product,
    vendor: info?.vendor,
    architecture: info?.architecture,
    description: info?.description,
  }));
  const file = { schema: "gradsink-compilers/1", runtime, gpus, ...report };
  return JSON.stringify(file, undefined, 1) + "\n";
}
