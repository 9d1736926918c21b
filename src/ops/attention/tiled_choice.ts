/**
 * Chooses attention's tile on a GPU without measurements, by the registers that an invocation needs
 * and those that the GPU has.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import { gpuBudget } from "../shared/budget.ts";
import type { AttentionShape } from "./shape.ts";
import { type AttentionTile, attentionTiles, keyValueTile, unfitTiled } from "./tiled.ts";

export type BudgetInfo = Parameters<typeof gpuBudget>[0];

/** What a tiled kernel of attention computes: the forward pass, or gradients of these inputs. */
export type TiledPass = "forward" | "query" | "key" | "value" | "key and value";

/**
 * What an invocation holds at once: its part of `cells` tiles of rows × columns (logits or logit
 * gradients), and its part of `sums` tiles of rows × D (results).
 */
interface Held {
  readonly cells: number;
  readonly sums: number;
  /** Further 32-bit numbers, which only kernels that compute two gradients need. */
  readonly others: number;
}

const held: Readonly<Record<TiledPass, Held>> = {
  forward: { cells: 1, sums: 1, others: 0 },
  query: { cells: 2, sums: 1, others: 0 },
  key: { cells: 2, sums: 1, others: 0 },
  value: { cells: 1, sums: 1, others: 0 },
  "key and value": { cells: 2, sums: 2, others: 16 },
};

/**
 * The most 32-bit numbers that an invocation of a tiled kernel holds at once: its part of the tile
 * and its sums, operands, addresses, and numbers per row. Fitted to the reports of Intel's compiler
 * for D from 16 to 256 (`deno task compilers`), with errors of about 10 numbers. If an invocation
 * has three or four vec4f of a row, the compiler needs up to 40 numbers more than this estimate.
 */
export function tiledRegisters(
  { across, blocksDown, blocksAcross, side = 4 }: AttentionTile,
  headDim: number,
  pass: TiledPass,
): number {
  const rows = side * blocksDown;
  const { cells, sums, others } = held[pass];
  const chunks = Math.ceil(headDim / 4 / across);
  return cells * rows * side * blocksAcross + sums * rows * 4 * chunks + others + 40 + 8 * rows;
}

/**
 * Whether one kernel computes the gradients of both key and value; otherwise each has its own
 * kernel.
 */
export function holdsBothGradients(
  info: BudgetInfo,
  tile: AttentionTile,
  headDim: number,
): boolean {
  return tiledRegisters(keyValueTile(tile), headDim, "key and value") <= gpuBudget(info).registers;
}

/**
 * If a call has at least this many query rows, over all batches and heads, even workgroups of few
 * subgroups keep every core of a large GPU busy.
 */
const MANY_ROWS = 2 ** 15;

/**
 * Chooses a good tile without measurements, among those that can run.
 *
 * @returns the variant's name, `portable` if no tile can run
 */
export function bestTile(
  gpu: Pick<Gpu, "info" | "device">,
  shape: AttentionShape,
  direction: "forward" | "backward",
): string {
  const { registers, mostRegisters } = gpuBudget(gpu.info);
  const pass = direction === "forward" ? "forward" : "query";
  const takes = (name: string) => tiledRegisters(attentionTiles[name]!, shape.headDim, pass);
  const rows = shape.batches * shape.queryHeads * shape.sequenceLength;
  const wishes = [
    ...rows >= MANY_ROWS && takes("tiled-64x64") <= registers ? ["tiled-64x64"] : [],
    ...takes("tiled-64x64-4x4") <= mostRegisters ? ["tiled-64x64-4x4"] : [],
    // These small tiles need about 10 registers fewer than the estimate.
    ...["tiled-32x64-2x4", "tiled-16x64-2x2"].filter((name) => takes(name) - 10 <= mostRegisters),
    "tiled-8x128-2x2",
    "tiled-16x64-2x2", // if tiles of 8 rows are too many to dispatch; these are half as many
    "tiled-32x64-2x4", // if tiles of 16 rows are still too many
    "tiled-32x32", // needs the least workgroup memory
  ];
  return wishes.find((name) => unfitTiled(gpu, shape, attentionTiles[name]!) === undefined) ??
    "portable";
}
