/** What eight GPUs run where nothing was measured. */
import { createDryGpu, recordPlan } from "../../../src/gpu/dry_gpu.ts";
import type { GpuInfo } from "../../../src/gpu/gpu_info.ts";
import { type Dimensions, tunableOperators } from "../../../src/ops/tuning/operators.ts";
import { hardwareAdapters } from "../../support/gpu/hardware_adapters.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

function chosen(info: GpuInfo, operator: string, call: Dimensions): string {
  using gpu = createDryGpu(info);
  return tunableOperators.get(operator)!.choose(gpu, call);
}

/** The WGSL of the first kernel that a call runs. */
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

const square = (length: number) => ({ B: 1, M: length, N: length, K: length });

Deno.test("the matrix product's tile follows from its size and the GPU's registers", () => {
  assertEquals(table((info) => chosen(info, "matmul", square(2048))), {
    vega10: "tiled-128",
    navi21: "tiled-128",
    navi31: "tiled-128",
    dg2: "tiled-128x64, in Dawn tiled-64-4x4",
    bmg: "tiled-128x64, in Dawn tiled-64-4x4",
    ga102: "tiled-128",
    m1: "tiled-128x64",
    adreno730: "tiled-128",
  });
  assertEquals(table((info) => chosen(info, "matmul", square(1024))), {
    vega10: "tiled",
    navi21: "tiled",
    navi31: "tiled",
    dg2: "tiled-64-4x4",
    bmg: "tiled-64-4x4",
    ga102: "tiled",
    m1: "tiled-64-4x4",
    adreno730: "tiled",
  });
  assertEquals(table((info) => chosen(info, "matmul", square(512))), {
    vega10: "tiled-32",
    navi21: "tiled-32",
    navi31: "tiled-32",
    dg2: "tiled-32, in Dawn tiled-64-4x4",
    bmg: "tiled-32, in Dawn tiled-64-4x4",
    ga102: "tiled-32",
    m1: "tiled-32",
    adreno730: "tiled-32",
  });
});

Deno.test("the matrix product's k are written out where the GPU has registers for them", () => {
  const rolled = (info: GpuInfo) =>
    String(/k < min\(16u/.test(firstCode(info, "matmul", square(512))));
  assertEquals(table(rolled), {
    vega10: "false",
    navi21: "false",
    navi31: "false",
    dg2: "false, in Dawn true",
    bmg: "false, in Dawn true",
    ga102: "false",
    m1: "false",
    adreno730: "false",
  });
});

Deno.test("RMSNorm shares a row among as many lanes as hold it in registers", () => {
  const lanes = (operator: string, d: number) => (info: GpuInfo) =>
    /const LANES: u32 = (\d+)u/.exec(firstCode(info, operator, { rows: 4096, d }))![1]!;
  // One subgroup a row on Vega alone: its lanes hold 4 vectors each.
  const one = { vega10: "64", navi21: "256", navi31: "256", dg2: "256", bmg: "256" };
  const others = { ga102: "256", m1: "256", adreno730: "256" };
  for (const operator of ["rmsNormForward", "rmsNormBackward"]) {
    assertEquals(table(lanes(operator, 1024)), { ...one, ...others }, operator);
  }
  assertEquals(table(lanes("rmsNormBackward", 4096)), {
    vega10: "256",
    navi21: "256",
    navi31: "256",
    dg2: "256, in Dawn 512",
    bmg: "256, in Dawn 512",
    ga102: "256",
    m1: "256",
    adreno730: "256",
  });
  assertEquals(table(lanes("rmsNormBackward", 8192)), {
    vega10: "512",
    navi21: "512",
    navi31: "256",
    dg2: "512, in Dawn 1024",
    bmg: "512, in Dawn 1024",
    ga102: "256",
    m1: "512",
    adreno730: "512",
  });
});

Deno.test("no GPU runs a kernel that is made for the CPU, or none that is made for GPUs", () => {
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
