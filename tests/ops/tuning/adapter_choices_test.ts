/** The variants that gradsink chooses for eight known GPUs without tuning. */
import { createDryGpu, recordPlan } from "../../../src/gpu/dry_gpu.ts";
import type { GpuInfo } from "../../../src/gpu/gpu_info.ts";
import { type Dimensions, tunableOperators } from "../../../src/ops/tuning/operators.ts";
import { hardwareAdapters } from "../../support/gpu/hardware_adapters.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

function chosen(info: GpuInfo, operator: string, call: Dimensions): string {
  using gpu = createDryGpu(info);
  return tunableOperators.get(operator)!.choose(gpu, call);
}

/** The WGSL of a call's first kernel. */
function firstCode(info: GpuInfo, operator: string, call: Dimensions): string {
  using gpu = createDryGpu(info);
  using plan = tunableOperators.get(operator)!.plan(gpu, call);
  return recordPlan(plan).dispatches[0]!.code;
}

function table(choose: (info: GpuInfo) => string): Record<string, string> {
  return Object.fromEntries(
    hardwareAdapters.map(({ name, deno, dawn }) => {
      const [inDeno, inDawn] = [choose(deno), choose(dawn)];
      return [name, inDeno === inDawn ? inDeno : `${inDeno}, in Dawn ${inDawn}`];
    }),
  );
}

/** Maps every GPU to its choice in `others`, or else to the usual choice. */
function everywhere(usual: string, others: Record<string, string> = {}): Record<string, string> {
  const entries = hardwareAdapters.map(({ name }) => [name, others[name] ?? usual]);
  return Object.fromEntries(entries);
}

const square = (length: number) => ({ B: 1, M: length, N: length, K: length });

Deno.test("the matrix product's tile follows from its size and the GPU's registers", () => {
  assertEquals(
    table((info) => chosen(info, "matmul", square(2048))),
    everywhere("tiled-128", {
      dg2: "tiled-128x64, in Dawn tiled-64-4x4",
      bmg: "tiled-128x64, in Dawn tiled-64-4x4",
      m1: "tiled-128x64",
    }),
  );
  assertEquals(
    table((info) => chosen(info, "matmul", square(1024))),
    everywhere("tiled", { dg2: "tiled-64-4x4", bmg: "tiled-64-4x4", m1: "tiled-64-4x4" }),
  );
  assertEquals(
    table((info) => chosen(info, "matmul", square(512))),
    everywhere("tiled-32", {
      dg2: "tiled-32, in Dawn tiled-64-4x4",
      bmg: "tiled-32, in Dawn tiled-64-4x4",
    }),
  );
});

Deno.test("the matrix product unrolls k as far as the GPU's registers allow", () => {
  const together = (info: GpuInfo) =>
    /k \+= (\d+)u/.exec(firstCode(info, "matmul", square(512)))?.[1] ?? "all";
  assertEquals(
    table(together),
    everywhere("all", { dg2: "all, in Dawn 4", bmg: "all, in Dawn 4" }),
  );
});

Deno.test("RMSNorm shares a row among as many lanes as hold it in registers", () => {
  const lanes = (operator: string, d: number) => (info: GpuInfo) =>
    /const LANES: u32 = (\d+)u/.exec(firstCode(info, operator, { rows: 4096, d }))![1]!;
  // Only on Vega can one subgroup hold a row of 1,024 numbers: 4 vec4f in each of its 64 lanes.
  const expected = everywhere("256", { vega10: "64" });
  for (const operator of ["rmsNormForward", "rmsNormBackward"]) {
    assertEquals(table(lanes(operator, 1024)), expected, operator);
  }
  assertEquals(
    table(lanes("rmsNormBackward", 4096)),
    everywhere("256", { dg2: "256, in Dawn 512", bmg: "256, in Dawn 512" }),
  );
  assertEquals(
    table(lanes("rmsNormBackward", 8192)),
    everywhere("512", {
      navi31: "256",
      dg2: "512, in Dawn 1024",
      bmg: "512, in Dawn 1024",
      ga102: "256",
    }),
  );
});

Deno.test("every GPU runs kernels made for GPUs, and none made for the CPU", () => {
  for (const { name, deno, dawn } of hardwareAdapters) {
    for (const info of [deno, dawn]) {
      for (const T of [128, 1024, 8192]) {
        for (const operator of ["attentionForward", "attentionBackward"]) {
          for (const D of [64, 128]) {
            const variant = chosen(info, operator, { B: 1, Hq: 8, Hkv: 2, T, D });
            assert(variant.startsWith("tiled-"), `${name} ${operator} T ${T} D ${D}: ${variant}`);
          }
        }
      }
      for (const operator of ["rmsNormForward", "rmsNormBackward"]) {
        assertEquals(chosen(info, operator, { rows: 4096, d: 1024 }), "subgroup", name);
      }
    }
  }
});
