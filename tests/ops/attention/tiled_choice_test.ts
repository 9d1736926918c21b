/** The tile that attention chooses without tuning on each of eight GPUs, one of them unknown. */
import type { Gpu } from "../../../mod.ts";
import { attentionTiles, unfitTiled } from "../../../src/ops/attention/tiled.ts";
import {
  bestTile,
  holdsBothGradients,
  tiledRegisters,
} from "../../../src/ops/attention/tiled_choice.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

type Chooser = Parameters<typeof bestTile>[0];

// A `Gpu` as a runtime describes it: Deno reports no architecture, Dawn and browsers do.
function chooser(
  told: { vendor: string; architecture?: string; description?: string; runtime?: "deno" | "dawn" },
  memory = 32768,
): Chooser {
  const limits = {
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupStorageSize: memory,
    maxComputeWorkgroupsPerDimension: 65535,
  };
  const info = { runtime: "deno", architecture: "", description: "", ...told };
  return { info, device: { limits } } as unknown as Pick<Gpu, "info" | "device">;
}

const gpus = {
  vega: chooser({ vendor: "amd", description: "AMD Radeon RX Vega (RADV VEGA10)" }),
  rdna2: chooser({ vendor: "amd", description: "AMD Radeon RX 6900 XT (RADV NAVI21)" }),
  rdna3: chooser({ vendor: "amd", description: "AMD Radeon RX 7900 XTX (RADV NAVI31)" }),
  intel: chooser({ vendor: "intel", description: "Intel(R) Arc(tm) A770 Graphics (DG2)" }),
  intelInChrome: chooser({ vendor: "intel", architecture: "xe-hpg", runtime: "dawn" }),
  nvidia: chooser({ vendor: "nvidia", description: "NVIDIA GeForce RTX 3090" }),
  apple: chooser({ vendor: "apple", architecture: "metal-3", runtime: "dawn" }),
  unknown: chooser({ vendor: "someone" }),
};

function shape(sequenceLength: number, headDim: number) {
  return { batches: 1, queryHeads: 8, keyValueHeads: 8, sequenceLength, headDim };
}

Deno.test("bestTile() follows from the registers of eight GPUs", () => {
  const least = "tiled-16x64-2x2",
    long = "tiled-8x128-2x2", // for long rows
    small = "tiled-32x64-2x4",
    usual = "tiled-64x64-4x4",
    large = "tiled-64x64";
  const rows = (T: number, D: number, direction: "forward" | "backward") =>
    Object.values(gpus).map((gpu) => bestTile(gpu, shape(T, D), direction));
  // Each list names the expected tiles in the order of `gpus`.
  assertEquals(rows(1024, 64, "forward"), [usual, usual, usual, usual, small, usual, usual, small]);
  assertEquals(rows(8192, 64, "forward"), [usual, usual, large, usual, small, large, usual, small]);
  for (const T of [1024, 8192]) {
    assertEquals(rows(T, 128, "forward"), [usual, usual, usual, usual, least, usual, usual, least]);
    assertEquals(rows(T, 64, "backward"), [usual, usual, usual, usual, least, usual, usual, least]);
    assertEquals(rows(T, 128, "backward"), [
      usual,
      usual,
      usual,
      small,
      least,
      usual,
      small,
      least,
    ]);
    for (const D of [160, 256]) {
      const expected = [usual, usual, usual, small, long, usual, small, long];
      assertEquals(rows(T, D, "forward"), expected);
      assertEquals(rows(T, D, "backward"), expected);
    }
  }
});

Deno.test("bestTile() names no tile that cannot run", () => {
  for (const gpu of Object.values(gpus)) {
    for (const D of [4, 36, 64, 80, 96, 128, 192, 256]) {
      for (const T of [1, 1023, 2 ** 20]) {
        for (const direction of ["forward", "backward"] as const) {
          const name = bestTile(gpu, shape(T, D), direction);
          assertEquals(unfitTiled(gpu, shape(T, D), attentionTiles[name]!), undefined, `D ${D}`);
        }
      }
    }
  }
  // A tile of 16 rows would need 2^20 / 16 = 65,536 workgroups in one dimension, but the limit is
  // 65,535.
  assertEquals(bestTile(gpus.unknown, shape(2 ** 20, 128), "forward"), "tiled-32x64-2x4");
  assertEquals(bestTile(gpus.unknown, shape(2 ** 19, 256), "forward"), "tiled-16x64-2x2");
  // WebGPU guarantees only 16 KiB of workgroup memory.
  const little = chooser({ vendor: "amd" }, 16384);
  assertEquals(bestTile(little, shape(1024, 64), "forward"), "tiled-32x32");
  assertEquals(bestTile(little, shape(1024, 256), "forward"), "portable");
});

Deno.test("holdsBothGradients() is false where a GPU has too few registers", () => {
  const parted = (D: number, tile = attentionTiles["tiled-64x64-4x4"]!) =>
    Object.entries(gpus).filter(([, { info }]) => !holdsBothGradients(info, tile, D))
      .map(([name]) => name);
  const few = ["vega", "rdna2", "intel", "intelInChrome", "apple", "unknown"];
  assertEquals(parted(64), few);
  assertEquals(parted(128), few);
  assertEquals(parted(256), Object.keys(gpus));
  const small = attentionTiles["tiled-32x64-2x4"]!;
  assertEquals(parted(128, small), ["intelInChrome", "unknown"]);
  // At D 160, the gradients of key and value together need more registers than the GPUs in `few`
  // have.
  assertEquals(parted(160, small), few);
});

Deno.test("tiledRegisters() grows with what an invocation holds", () => {
  const usual = attentionTiles["tiled-64x64-4x4"]!;
  const forward = tiledRegisters(usual, 64, "forward");
  assertEquals(tiledRegisters(usual, 128, "forward") - forward, 16); // one more vec4f for each of 4 rows
  assertEquals(tiledRegisters(usual, 64, "query") - forward, 16); // 4 × 4 gradients
  assertEquals(
    tiledRegisters(usual, 64, "key and value") - tiledRegisters(usual, 64, "key"),
    32,
  );
  assert(tiledRegisters(attentionTiles["tiled-64x64"]!, 64, "forward") > forward);
  assert(tiledRegisters(attentionTiles["tiled-32x64-2x4"]!, 64, "forward") < forward);
});
