/**
 * Shared parts of kernels that work on rows, such as RMSNorm's: how they read a row, and how a
 * workgroup sums one.
 */
import { sumLanes } from "../../../kernels/rows/sum_lanes.wgsl.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel, KernelPart, LanguageFeature } from "../../gpu/pipelines.ts";
import type { Specialization } from "../../gpu/specialize.ts";
import { gpuBudget } from "../shared/budget.ts";
import columnSumsSource from "../../../kernels/rows/column_sums.wgsl" with { type: "text" };
import elementScalarSource from "../../../kernels/rows/element_scalar.wgsl" with { type: "text" };
import elementVectorSource from "../../../kernels/rows/element_vector.wgsl" with { type: "text" };
import sumSubgroupSource from "../../../kernels/rows/sum_subgroup.wgsl" with { type: "text" };
import sumWorkgroupSource from "../../../kernels/rows/sum_workgroup.wgsl" with { type: "text" };

/** The rows of a tensor `[…, d]`. */
export interface RowShape {
  readonly rows: number;
  /** d */
  readonly columns: number;
}

/** Reads rows one number at a time, for any d. */
export const scalarElement: KernelPart = {
  file: "rows/element_scalar.wgsl",
  source: elementScalarSource,
};

/**
 * Chooses how a kernel reads rows of d numbers: four at a time if d is a multiple of four,
 * otherwise one at a time.
 *
 * @returns the part that reads rows, and how many vec4f or single numbers a row has
 */
export function rowElement(columns: number): { part: KernelPart; elements: number } {
  return columns % 4 === 0
    ? {
      part: { file: "rows/element_vector.wgsl", source: elementVectorSource },
      elements: columns / 4,
    }
    : { part: scalarElement, elements: columns };
}

/** A kernel that reads rows four numbers at a time if possible. */
export interface ElementKernel {
  readonly kernel: Kernel;
  /** The number of elements in a row: single numbers or vectors. */
  readonly elements: number;
}

/**
 * Makes a kernel for rows of d numbers.
 *
 * @param parts the kernel without the part that reads rows
 */
export function elementKernel(columns: number, ...parts: readonly KernelPart[]): ElementKernel {
  const { part, elements } = rowElement(columns);
  return { kernel: { parts: [part, ...parts] }, elements };
}

/** Makes the kernel that sums a matrix's columns. `element` is the part that reads the rows. */
export function sumRowsOf(element: KernelPart): Kernel {
  return { parts: [element, { file: "rows/column_sums.wgsl", source: columnSumsSource }] };
}

/** How a workgroup sums a row: the WGSL part with its constants, features and workgroup size. */
export interface RowSum {
  readonly part: KernelPart;
  readonly constants: Specialization;
  readonly features: readonly LanguageFeature[];
  /** Invocations per workgroup. */
  readonly lanes: number;
  /** Whether the workgroup is one subgroup. */
  readonly oneSubgroup: boolean;
  /** How many elements of a row an invocation can hold in registers. */
  readonly elementsPerLane: number;
}

/**
 * The most elements of a row that a lane holds in registers. More would cost more compile time on
 * lavapipe than they save: it compiles RMSNorm's backward in 2 s for 8 and in 8 s for 16.
 */
const ELEMENTS_PER_LANE = 8;

/**
 * The most elements that a lane of a hardware GPU holds if one subgroup computes a row. If lanes
 * held more, few subgroups would fit a core. So several subgroups of a workgroup share longer rows.
 */
const ELEMENTS_PER_LONE_LANE = 4;

/**
 * On the CPU, if a subgroup has at least this many lanes, kernels add the lanes' numbers one after
 * another. Measured: lavapipe, with 8 lanes, is faster so than with subgroupAdd, but SwiftShader,
 * with 4, would take up to 6 % longer.
 */
const LEAST_LANES_IN_ORDER = 8;

/** An invocation's registers besides those for its elements: addresses, sums, loop counters. */
const OTHER_REGISTERS = 24;

// How many elements of a row a lane can hold if each element needs `registers` registers.
function elementsPerLane({ info }: Gpu, registers: number): number {
  if (info.software || registers === 0) return ELEMENTS_PER_LANE;
  const most = Math.floor((gpuBudget(info).registers - OTHER_REGISTERS) / registers);
  return Math.max(1, Math.min(most, ELEMENTS_PER_LANE));
}

/**
 * Sums by subgroups. If all subgroups have one known size, the workgroup can be one subgroup, which
 * needs no barrier. It is one on the CPU always, and on hardware if the row fits the subgroup's
 * registers with at most four elements per lane. Otherwise the workgroup has 64 lanes, or 256 for
 * rows of more than 128 elements, or more if their registers cannot hold the row.
 *
 * @param gpu an adapter with subgroups
 * @param elements the elements of a row
 * @param registers how many registers a lane needs for each element that it holds. Default: 0, for
 *   kernels that hold no elements
 */
export function subgroupRowSum(gpu: Gpu, elements: number, registers = 0): RowSum {
  const { minimum, maximum } = gpu.info.subgroupSize ?? { minimum: 1, maximum: 128 };
  const held = elementsPerLane(gpu, registers);
  // On the CPU, barriers between several subgroups cost more than the longer loops of one subgroup.
  const single = minimum === maximum &&
    (gpu.info.software || elements <= Math.min(held, ELEMENTS_PER_LONE_LANE) * minimum);
  const lanes = single ? minimum : workgroupLanes(elements, elements / held, mostLanes(gpu));
  return {
    ...single && gpu.info.software && lanes >= LEAST_LANES_IN_ORDER
      ? { part: { file: "rows/sum_lanes.wgsl.ts", source: sumLanes(lanes) }, constants: {} }
      : {
        part: { file: "rows/sum_subgroup.wgsl", source: sumSubgroupSource },
        constants: { LANES: lanes, ONE_SUBGROUP: single },
      },
    features: ["subgroups"],
    lanes,
    oneSubgroup: single,
    elementsPerLane: held,
  };
}

function mostLanes({ device: { limits } }: Gpu): number {
  return Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX);
}

/**
 * Whether a row of d numbers fits the registers of one subgroup and gives work to at least half of
 * the subgroup's lanes. For such rows, one subgroup per row is the fastest on CPU adapters too.
 */
export function fillsSubgroup(gpu: Gpu, columns: number): boolean {
  const { minimum, maximum } = gpu.info.subgroupSize ?? { minimum: 0, maximum: -1 };
  const { elements } = rowElement(columns);
  return minimum === maximum && 2 * elements >= minimum && elements <= ELEMENTS_PER_LANE * minimum;
}

/** A division of rows into runs of consecutive rows. Each workgroup computes one run. */
export interface RowRuns {
  readonly rowsPerRun: number;
  readonly runs: number;
}

/**
 * Divides rows into runs.
 *
 * @param options `least`: the wanted number of rows in a run; `most`: the greatest number of runs.
 *   If runs of `least` rows would be more than `most` runs, the runs get more rows
 */
export function divideRows(
  rows: number,
  { least, most }: { readonly least: number; readonly most: number },
): RowRuns {
  const rowsPerRun = Math.max(least, Math.ceil(rows / most));
  return { rowsPerRun, runs: Math.ceil(rows / rowsPerRun) };
}

/** Sums rows of this many elements through workgroup memory. */
export function workgroupRowSum(elements: number): RowSum {
  const lanes = workgroupLanes(elements);
  return {
    part: { file: "rows/sum_workgroup.wgsl", source: sumWorkgroupSource },
    constants: { LANES: lanes, GROUP: Math.sqrt(lanes) },
    features: [],
    lanes,
    oneSubgroup: false,
    elementsPerLane: ELEMENTS_PER_LANE,
  };
}

// Returns 64 or 256, numbers of invocations that every adapter allows. The sum through workgroup
// memory needs 8² or 16². For the sum by subgroups, which can use more, the number is doubled until
// it reaches `needed`, but stays at or below `most`.
function workgroupLanes(elements: number, needed = 0, most = 256): number {
  let lanes = elements <= 128 ? 64 : 256;
  while (lanes < needed && 2 * lanes <= most) lanes *= 2;
  return lanes;
}

/**
 * Names the class of shapes that share a tuned choice. It says whether kernels read four numbers at
 * a time (`vector`), and the numbers of columns and of rows, each rounded up to a power of four.
 */
export function rowShapeClass({ rows, columns }: RowShape): string {
  const bucket = (size: number) => 4 ** Math.ceil(Math.log2(size) / 2);
  return `${columns % 4 === 0 ? "vector" : "scalar"} d<=${bucket(columns)} rows<=${bucket(rows)}`;
}
