/**
 * What the kernels of RMSNorm and V-scale have in common: how they read a row, and how a workgroup
 * sums one.
 */
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

/** How a kernel reads rows one number at a time, whatever d is. */
export const scalarElement: KernelPart = {
  file: "rows/element_scalar.wgsl",
  source: elementScalarSource,
};

/**
 * How a kernel reads rows of d numbers: four at a time where every row begins at a multiple of
 * four.
 *
 * @param columns d
 * @returns the part to put in front, and how many elements a row has
 */
export function rowElement(columns: number): { part: KernelPart; elements: number } {
  return columns % 4 === 0
    ? {
      part: { file: "rows/element_vector.wgsl", source: elementVectorSource },
      elements: columns / 4,
    }
    : { part: scalarElement, elements: columns };
}

/** A kernel that reads rows of numbers four at a time where it can. */
export interface ElementKernel {
  readonly kernel: Kernel;
  /** How many elements such a row has. */
  readonly elements: number;
}

/**
 * A kernel for rows of d numbers.
 *
 * @param columns d
 * @param parts the kernel without the part that says how it reads rows
 */
export function elementKernel(columns: number, ...parts: readonly KernelPart[]): ElementKernel {
  const { part, elements } = rowElement(columns);
  return { kernel: { parts: [part, ...parts] }, elements };
}

/**
 * The column sums of a matrix.
 *
 * @param element how its rows are read
 */
export function sumRowsOf(element: KernelPart): Kernel {
  return { parts: [element, { file: "rows/column_sums.wgsl", source: columnSumsSource }] };
}

/** How a workgroup sums: the part to put in front, and what it is specialized to. */
export interface RowSum {
  readonly part: KernelPart;
  readonly constants: Specialization;
  readonly features: readonly LanguageFeature[];
  /** Invocations of a workgroup. */
  readonly lanes: number;
  /** Elements of a row that one of them can hold in registers. */
  readonly elementsPerLane: number;
}

/**
 * The most elements of a row that a lane holds in registers. More cost lavapipe's compiler more
 * than they save: the backward takes it 2 s for 8 and 8 s for 16.
 */
const ELEMENTS_PER_LANE = 8;

/**
 * The most elements of a row that a lane of a lone subgroup holds on hardware. With more, a core
 * has room for few subgroups; a workgroup of several subgroups then shares the row.
 */
const ELEMENTS_PER_LONE_LANE = 4;

/**
 * Registers of an invocation beside those for the elements that it holds: addresses, sums, what the
 * loop counts.
 */
const OTHER_REGISTERS = 24;

// How many elements a lane holds if each takes this many registers.
function elementsPerLane({ info }: Gpu, registers: number): number {
  if (info.software || registers === 0) return ELEMENTS_PER_LANE;
  const most = Math.floor((gpuBudget(info).registers - OTHER_REGISTERS) / registers);
  return Math.max(1, Math.min(most, ELEMENTS_PER_LANE));
}

/**
 * Sums by subgroups. The workgroup is one subgroup, without a barrier, where the size is known and
 * its lanes' registers hold the row; else the fewest lanes whose registers hold it.
 *
 * @param gpu an adapter with subgroups
 * @param elements of a row
 * @param registers that the kernel takes for each element that a lane holds. Default: 0, it holds
 *   none
 */
export function subgroupRowSum(gpu: Gpu, elements: number, registers = 0): RowSum {
  const { minimum, maximum } = gpu.info.subgroupSize ?? { minimum: 1, maximum: 128 };
  const held = elementsPerLane(gpu, registers);
  // On the CPU a barrier costs more than the longer loops of few lanes.
  const single = minimum === maximum &&
    (gpu.info.software || elements <= Math.min(held, ELEMENTS_PER_LONE_LANE) * minimum);
  const lanes = single ? minimum : workgroupLanes(elements, elements / held, mostLanes(gpu));
  return {
    part: { file: "rows/sum_subgroup.wgsl", source: sumSubgroupSource },
    constants: { LANES: lanes, ONE_SUBGROUP: single },
    features: ["subgroups"],
    lanes,
    elementsPerLane: held,
  };
}

function mostLanes({ device: { limits } }: Gpu): number {
  return Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX);
}

/**
 * Whether one subgroup holds a row in its registers, with at least half of its lanes at work: the
 * fastest way on CPU adapters too.
 *
 * @param gpu the adapter
 * @param columns d
 */
export function fillsSubgroup(gpu: Gpu, columns: number): boolean {
  const { minimum, maximum } = gpu.info.subgroupSize ?? { minimum: 0, maximum: -1 };
  const { elements } = rowElement(columns);
  return minimum === maximum && 2 * elements >= minimum && elements <= ELEMENTS_PER_LANE * minimum;
}

/** Runs of rows, each walked by one workgroup. */
export interface RowRuns {
  readonly rowsPerRun: number;
  readonly runs: number;
}

/**
 * Divides rows into runs.
 *
 * @param rows how many
 * @param options the least rows of a run, and the most runs unless these have to be longer
 */
export function divideRows(
  rows: number,
  { least, most }: { readonly least: number; readonly most: number },
): RowRuns {
  const rowsPerRun = Math.max(least, Math.ceil(rows / most));
  return { rowsPerRun, runs: Math.ceil(rows / rowsPerRun) };
}

/**
 * Sums through workgroup memory.
 *
 * @param elements of a row
 */
export function workgroupRowSum(elements: number): RowSum {
  const lanes = workgroupLanes(elements);
  return {
    part: { file: "rows/sum_workgroup.wgsl", source: sumWorkgroupSource },
    constants: { LANES: lanes, GROUP: Math.sqrt(lanes) },
    features: [],
    lanes,
    elementsPerLane: ELEMENTS_PER_LANE,
  };
}

// Squares, for the sum through workgroup memory; 256 invocations are what every adapter has. More
// only where a row needs them.
function workgroupLanes(elements: number, needed = 0, most = 256): number {
  let lanes = elements <= 128 ? 64 : 256;
  while (lanes < needed && 2 * lanes <= most) lanes *= 2;
  return lanes;
}

/**
 * What rows share a tuned variant: the way they are read, and sizes by powers of four.
 *
 * @param shape the rows
 */
export function rowShapeClass({ rows, columns }: RowShape): string {
  const bucket = (size: number) => 4 ** Math.ceil(Math.log2(size) / 2);
  return `${columns % 4 === 0 ? "vector" : "scalar"} d<=${bucket(columns)} rows<=${bucket(rows)}`;
}
