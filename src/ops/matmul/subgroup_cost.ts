/**
 * Estimates the time that a choice of the subgroup kernel takes: how often each kind of instruction
 * runs, times its cost.
 */
import { dealtRows } from "../../../kernels/matmul/subgroup_loads.ts";
import { type MatmulReading, packedLength } from "./packing.ts";
import type { ColumnRange, MatmulShape } from "./shape.ts";

/** How the kernel computes some columns of a product. */
export interface SubgroupPart extends ColumnRange {
  /** Columns of a lane. */
  readonly width: number;
  /** Whether a lane's columns are neighbors in groups of four, if `width` allows groups. */
  readonly grouped: boolean;
  /** Columns of a tile in addition to those of its lanes. */
  readonly extra: number;
  readonly right: MatmulReading;
}

/** How the kernel computes a product. */
export interface SubgroupChoice {
  /** The product, or its transpose with exchanged operands. */
  readonly shape: MatmulShape;
  /** Rows of a tile. */
  readonly rows: number;
  readonly left: MatmulReading;
  /** One part with all columns, or two: one with whole tiles, one with the last tile across. */
  readonly parts: readonly SubgroupPart[];
}

/**
 * What a dispatch, a workgroup or one instruction of a subgroup costs, in nanoseconds of one core.
 */
interface Costs {
  readonly dispatch: number;
  readonly workgroup: number;
  /** Carrying one accumulator through a step. */
  readonly carry: number;
  /** A multiply-add into one accumulator. */
  readonly multiplyAdd: number;
  readonly broadcast: number;
  /** The overhead of a step with extra columns, besides its instructions. */
  readonly extraColumns: number;
  readonly numberLoad: number;
  readonly vectorLoad: number;
  /** A load of a vec4f from an image (a texture). */
  readonly imageLoad: number;
  readonly numberStore: number;
  readonly vectorStore: number;
  readonly packedVector: number;
  /** A command that copies an operand to an image. One core copies while the others wait. */
  readonly imageCopy: number;
  readonly copiedVector: number;
  /**
   * The time to compile an accumulator, load or store of the code, divided by 100,000, as if every
   * kernel were dispatched 100,000 times.
   */
  readonly compiled: number;
}

// Fitted to measured times of hundreds of products with tiles of all kinds; the error is 8 to 15 %.
// Lavapipe 25 has eight lanes per subgroup, SwiftShader four. Only the ratios within a table
// matter: SwiftShader's costs are its times divided by five.
// Loads of vectors differ most between CPUs. A load from a buffer takes 15 ns on an AMD EPYC and
// 23 ns on an Intel Xeon. A load from an image takes 4 ns and 10 ns. The costs here lie between.
const eightLanes: Costs = {
  dispatch: 25_000,
  workgroup: 140,
  carry: 0,
  multiplyAdd: 0.41,
  broadcast: 0.1,
  extraColumns: 35,
  numberLoad: 7.5,
  vectorLoad: 18,
  imageLoad: 8,
  numberStore: 13.5,
  vectorStore: 36,
  packedVector: 77,
  imageCopy: 20_000,
  copiedVector: 2.5,
  compiled: 50,
};
const fourLanes: Costs = {
  dispatch: 22_000,
  workgroup: 103,
  carry: 0.52,
  multiplyAdd: 0.07,
  broadcast: 1.3,
  extraColumns: 0,
  numberLoad: 2.4,
  vectorLoad: 6.4,
  imageLoad: 6.4,
  numberStore: 6.4,
  vectorStore: 26,
  packedVector: 33,
  imageCopy: 20_000,
  copiedVector: 3.5,
  compiled: 10,
};

// If right is an image, a kernel with tiles of up to this size computes two steps in one iteration
// of its loop: the code of two steps still fits into the instruction caches. With loads from
// buffers, the code of one step nearly fills these caches.
const ROWS_OF_TWO_STEPS = 16;
const ACCUMULATORS_OF_TWO_STEPS = 128;

/**
 * The number of steps in one iteration of the kernel's loop. A step covers four values of k.
 * Compiled code masks the accumulators by the active lanes once per iteration, so longer iterations
 * save time.
 */
export function stepsOf(
  { shape, rows }: Pick<SubgroupChoice, "shape" | "rows">,
  { width, right: { image, load } }: Pick<SubgroupPart, "width" | "right">,
): number {
  if (image?.numbers === "bf16" && load === "along-inner") return 2;
  const fits = rows <= ROWS_OF_TWO_STEPS && rows * width <= ACCUMULATORS_OF_TWO_STEPS;
  return image !== undefined && fits && shape.inner % 8 === 0 ? 2 : 1;
}

// With two steps in an iteration, the accumulators are masked half as often. Carrying them and
// adding to them then takes the usual time times this factor.
const TWO_STEPS = 0.9;

// A second part is one more kernel, which may need compiling. It adds this share of the total cost.
const MORE_PARTS = 0.02;

/** Whether the kernel stores a part's numbers four at a time. */
export function storesVectors(
  { columns, storedTransposed = false }: MatmulShape,
  { width, grouped, extra }: SubgroupPart,
): boolean {
  return grouped && !storedTransposed && extra === 0 && width % 4 === 0 && columns % 4 === 0;
}

/** How many tiles a part has. */
export function tileCount(
  subgroupSize: number,
  { shape, rows }: Pick<SubgroupChoice, "shape" | "rows">,
  { first, end, width, extra }: SubgroupPart,
): number {
  return shape.batches * Math.ceil(shape.rows / rows) *
    Math.ceil((end - first) / (subgroupSize * width + extra));
}

// Counts a subgroup's loads in one step of its tile. The step covers `k` numbers along K.
function loadCounts(
  S: number,
  { rows, left }: SubgroupChoice,
  { width, extra, right }: SubgroupPart,
  k: number,
): { readonly numbers: number; readonly vectors: number; readonly images: number } {
  const dealt = dealtRows({ subgroupSize: S, rows });
  const ofLeft = {
    "scalar": k * Math.ceil((rows - dealt) / S) + Math.ceil(4 * dealt / S),
    "along-inner": Math.ceil(rows / S),
    "along-outer": Math.ceil(k * rows / 4 / S),
  }[left.load];
  const ofRight = {
    "scalar": k * width + Math.ceil(4 * extra / S),
    "along-inner": width + Math.min(extra, 1),
    "along-outer": k * width / 4 + Math.min(extra, 1),
  }[right.load];
  const numbers = (left.load === "scalar" ? ofLeft : 0) + (right.load === "scalar" ? ofRight : 0);
  const perTexel = right.image?.numbers === "bf16" ? 2 : 1;
  const images = (left.image === undefined ? 0 : ofLeft) +
    (right.image === undefined ? 0 : ofRight / perTexel);
  const vectors = (left.image === undefined ? ofLeft : 0) +
    (right.image === undefined ? ofRight : 0) - numbers;
  return { numbers, vectors, images };
}

function partCost(S: number, costs: Costs, choice: SubgroupChoice, part: SubgroupPart): number {
  const { shape, rows, left } = choice;
  const { width, extra } = part;
  const dealt = left.load === "scalar" ? dealtRows({ subgroupSize: S, rows }) : 0;
  const accumulators = rows * width + extra * (Math.ceil((rows - dealt) / S) + dealt);
  const inVectors = storesVectors(shape, part);
  const stores = inVectors ? accumulators / 4 : accumulators;
  const inTurn = stepsOf(choice, part);
  const step = (k: number) => {
    const { numbers, vectors, images } = loadCounts(S, choice, part, k);
    return {
      written: inTurn * (accumulators + numbers + vectors + images),
      time: accumulators * (costs.carry + k * costs.multiplyAdd) * (inTurn > 1 ? TWO_STEPS : 1) +
        k * (rows + extra) * costs.broadcast + Math.min(extra, 1) * costs.extraColumns +
        numbers * costs.numberLoad + vectors * costs.vectorLoad +
        images * costs.imageLoad,
    };
  };
  const remainder = shape.inner % 4;
  const whole = step(4);
  const short = remainder === 0 ? { written: 0, time: 0 } : step(remainder);
  const steps = (shape.inner - remainder) / 4 * whole.time + short.time;
  const written = stores + whole.written + short.written;
  const storing = stores * (inVectors ? costs.vectorStore : costs.numberStore);
  return costs.dispatch + costs.compiled * written +
    tileCount(S, choice, part) * (costs.workgroup + steps + storing);
}

/**
 * The estimated time of a choice, roughly in ns of one core. With four lanes per subgroup it is a
 * fifth of the time in ns, because `fourLanes` holds fifths.
 */
export function subgroupCost(subgroupSize: number, choice: SubgroupChoice): number {
  const costs = subgroupSize === 4 ? fourLanes : eightLanes;
  const { shape, left, parts } = choice;
  let total = 0;
  for (const part of parts) total += partCost(subgroupSize, costs, choice, part);
  total *= 1 + MORE_PARTS * (parts.length - 1);
  for (const side of ["left", "right"] as const) {
    const reading = side === "left" ? left : parts.find(({ right }) => right.packed)?.right;
    if (!reading?.packed) continue;
    const vectors = packedLength(shape, side) / 4;
    if (reading.image === undefined) {
      total += costs.dispatch + vectors / subgroupSize * costs.packedVector;
    } else {
      total += costs.imageCopy + vectors * costs.copiedVector;
    }
  }
  return total;
}
