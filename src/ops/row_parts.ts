/** What the kernels of RMSNorm and V-scale have in common: how they read a row, and how a workgroup sums one. */
import type { Gpu } from "../gpu/gpu.ts";
import type { KernelPart, LanguageFeature } from "../gpu/pipelines.ts";
import type { Specialisation } from "../gpu/specialise.ts";
import elementScalarSource from "../../kernels/row_element_scalar.wgsl" with { type: "text" };
import elementVectorSource from "../../kernels/row_element_vector.wgsl" with { type: "text" };
import sumSubgroupSource from "../../kernels/row_sum_subgroup.wgsl" with { type: "text" };
import sumWorkgroupSource from "../../kernels/row_sum_workgroup.wgsl" with { type: "text" };

/** The rows of a tensor `[…, d]`. */
export interface RowShape {
  readonly rows: number;
  /** d */
  readonly columns: number;
}

/**
 * How a kernel reads rows of d numbers: four at a time where every row begins at a multiple of four.
 *
 * @param columns d
 * @returns the part to put in front, and how many elements a row has
 */
export function rowElement(columns: number): { part: KernelPart; elements: number } {
  return columns % 4 === 0
    ? {
      part: { file: "row_element_vector.wgsl", source: elementVectorSource },
      elements: columns / 4,
    }
    : { part: { file: "row_element_scalar.wgsl", source: elementScalarSource }, elements: columns };
}

/** How a workgroup sums: the part to put in front, and what it is specialised to. */
export interface RowSum {
  readonly part: KernelPart;
  readonly constants: Specialisation;
  readonly features: readonly LanguageFeature[];
  /** Invocations of a workgroup. */
  readonly lanes: number;
}

/**
 * Sums by subgroups: the workgroup is one subgroup where its size is known and it has at most `most` elements a lane.
 *
 * @param gpu an adapter with subgroups
 * @param elements of a row
 * @param most elements that one lane should have
 */
export function subgroupSum(gpu: Gpu, elements: number, most: number): RowSum {
  const { minimum, maximum } = gpu.info.subgroupSize ?? { minimum: 1, maximum: 128 };
  const single = minimum === maximum && elements <= most * minimum;
  const lanes = single ? minimum : workgroupLanes(elements);
  return {
    part: { file: "row_sum_subgroup.wgsl", source: sumSubgroupSource },
    constants: { LANES: lanes, ONE_SUBGROUP: single },
    features: ["subgroups"],
    lanes,
  };
}

/**
 * Sums through workgroup memory.
 *
 * @param elements of a row
 */
export function workgroupSum(elements: number): RowSum {
  const lanes = workgroupLanes(elements);
  return {
    part: { file: "row_sum_workgroup.wgsl", source: sumWorkgroupSource },
    constants: { LANES: lanes, GROUP: Math.sqrt(lanes) },
    features: [],
    lanes,
  };
}

// Squares, for the sum through workgroup memory; 256 invocations are what every adapter has.
function workgroupLanes(elements: number): number {
  return elements <= 128 ? 64 : 256;
}

/**
 * Why an adapter cannot run kernels with subgroups; undefined if it can.
 *
 * @param gpu the adapter
 */
export function unfitForSubgroups(gpu: Gpu): string | undefined {
  return gpu.info.features.includes("subgroups") && gpu.info.subgroupSize !== undefined
    ? undefined
    : "this adapter has no subgroups";
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

/**
 * Why an adapter has no storage buffer of a size; undefined if it has.
 *
 * @param gpu the adapter
 * @param size bytes
 */
export function unfitForStorage(gpu: Gpu, size: number): string | undefined {
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.device.limits;
  const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  return size <= limit
    ? undefined
    : `it needs a buffer of ${size} bytes, this adapter allows ${limit}`;
}
