/**
 * The variants of RMSNorm forward.
 *
 * | variant              | for                           | why                                   |
 * | -------------------- | ----------------------------- | ------------------------------------- |
 * | `subgroup`           | GPUs; CPU: short rows         | the row stays in registers: one read  |
 * | `tile`               | CPU, 8+ lanes, enough rows    | vec4f loads for any d; few gain loads |
 * | `row-per-invocation` | other CPUs                    | no subgroups, no barrier              |
 * | `vectorised`         | tuning only                   | sums a row through workgroup memory   |
 * | `portable`           | GPUs without subgroups        | the readable definition               |
 */
import inverseSource from "../../../kernels/rms_norm/inverse.wgsl" with { type: "text" };
import forwardSource from "../../../kernels/rms_norm/forward.wgsl" with { type: "text" };
import forwardCooperativeSource from "../../../kernels/rms_norm/forward_cooperative.wgsl" with {
  type: "text",
};
import { rmsNormForwardFused } from "../../../kernels/rms_norm/forward_fused.wgsl.ts";
import { rmsNormForwardRows } from "../../../kernels/rms_norm/forward_rows.wgsl.ts";
import { rmsNormForwardTile } from "../../../kernels/rms_norm/forward_tile.wgsl.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import type { Dispatch } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { range, workgroupSum } from "../shared/parts.ts";
import {
  divideRows,
  fillsSubgroup,
  rowElement,
  type RowShape,
  type RowSum,
  scalarElement,
  subgroupRowSum,
  workgroupRowSum,
} from "../rows/parts.ts";
import { divideIntoTiles, suitsTiles, unfitForTiles } from "../rows/tiles.ts";
import { unfitForSubgroups } from "../shared/unfit.ts";
import { spreadWorkgroups } from "../shared/validation.ts";
import type { Variant, VariantPlan } from "../shared/variants.ts";

/** A checked call of RMSNorm forward, with its output tensors. */
export interface RmsNormForwardCall {
  readonly shape: RowShape;
  readonly epsilon: number;
  readonly input: Tensor;
  readonly gain: Tensor;
  readonly output: Tensor;
  readonly inverseRms: Tensor;
}

// Every kernel begins with the part that reads rows, followed by these parts.
const inverse: readonly KernelPart[] = [
  range,
  { file: "rms_norm/inverse.wgsl", source: inverseSource },
];

type ForwardVariant = Variant<RowShape, RmsNormForwardCall>;

function planKernel(
  gpu: Gpu,
  { shape, epsilon, input, gain, output, inverseRms }: RmsNormForwardCall,
  { kernel, workgroups }: { readonly kernel: Kernel; readonly workgroups: number },
): VariantPlan {
  return {
    scratch: [],
    dispatches: [{
      kernel,
      parameters: [{ u32: shape.rows }, { u32: shape.columns }, { f32: epsilon }],
      buffers: [input, gain, output, inverseRms],
      workgroups: spreadWorkgroups(gpu, workgroups),
    }],
  };
}

// Dispatches one workgroup per row, beginning at a given row.
function dispatchRows(
  gpu: Gpu,
  { shape, epsilon, input, gain, output, inverseRms }: RmsNormForwardCall,
  { part, sum, firstRow }: {
    readonly part: KernelPart;
    readonly sum: RowSum;
    readonly firstRow: number;
  },
): Dispatch {
  return {
    kernel: {
      parts: [part, ...inverse, sum.part, {
        file: "rms_norm/forward_cooperative.wgsl",
        source: forwardCooperativeSource,
      }],
      constants: sum.constants,
      features: sum.features,
    },
    parameters: [{ u32: shape.rows }, { u32: shape.columns }, { f32: epsilon }, { u32: firstRow }],
    buffers: [input, gain, output, inverseRms],
    workgroups: spreadWorkgroups(gpu, shape.rows - firstRow),
  };
}

// Plans kernels in which a workgroup computes one row at a time. If a row fits the workgroup's
// registers, the kernel reads it once, otherwise twice.
function planCooperative(gpu: Gpu, call: RmsNormForwardCall, sum: RowSum): VariantPlan {
  const { shape, epsilon, input, gain, output, inverseRms } = call;
  const { part, elements } = rowElement(shape.columns);
  const { constants, features, lanes } = sum;
  if (elements > sum.elementsPerLane * lanes) {
    return { scratch: [], dispatches: [dispatchRows(gpu, call, { part, sum, firstRow: 0 })] };
  }
  const source = rmsNormForwardFused({
    elements,
    lanes,
    oneSubgroup: sum.oneSubgroup,
  });
  // On the CPU a workgroup computes more rows, because starting a workgroup is costly there.
  const { rowsPerRun, runs } = divideRows(
    shape.rows,
    gpu.info.software ? { least: shape.rows < 1024 ? 8 : 32, most: 512 } : { least: 1, most: 8192 },
  );
  return {
    scratch: [],
    dispatches: [{
      kernel: {
        parts: [part, ...inverse, sum.part, { file: "rms_norm/forward_fused.wgsl.ts", source }],
        constants,
        features: sum.oneSubgroup ? ["unchecked-subgroups"] : features,
      },
      parameters: [
        { u32: shape.rows },
        { u32: shape.columns },
        { f32: epsilon },
        { u32: rowsPerRun },
      ],
      buffers: [input, gain, output, inverseRms],
      workgroups: spreadWorkgroups(gpu, runs),
    }],
  };
}

const tile: ForwardVariant = {
  name: "tile",
  unfit: unfitForTiles,
  suits: suitsTiles,
  plan(gpu, call) {
    const { shape, epsilon, input, gain, output, inverseRms } = call;
    const { tile, rows, rowsPerTile, tiles } = divideIntoTiles(gpu, shape);
    const whole: Dispatch = {
      kernel: {
        parts: [rowElement(4).part, ...inverse, {
          file: "rms_norm/forward_tile.wgsl.ts",
          source: rmsNormForwardTile(tile),
        }],
        features: ["subgroups"],
      },
      parameters: [
        { u32: rows },
        { u32: shape.columns },
        { f32: epsilon },
        { u32: rowsPerTile },
      ],
      buffers: [input, gain, output, inverseRms],
      workgroups: [tiles],
    };
    if (rows === shape.rows) return { scratch: [], dispatches: [whole] };
    const sum = subgroupRowSum(gpu, shape.columns);
    const rest = dispatchRows(gpu, call, { part: scalarElement, sum, firstRow: rows });
    return { scratch: [], dispatches: [whole, rest] };
  },
};

/**
 * How many rows an invocation of `row-per-invocation` computes. If there are more, more rows share
 * each load of the gain, but the kernel takes longer to compile.
 */
const ROWS = 4;

const rowPerInvocation: ForwardVariant = {
  name: "row-per-invocation",
  forCpu: true,
  unfit: () => undefined,
  suits: (gpu) => gpu.info.software,
  plan(gpu, call) {
    const kernel: Kernel = {
      parts: [rowElement(call.shape.columns).part, ...inverse, {
        file: "rms_norm/forward_rows.wgsl.ts",
        source: rmsNormForwardRows(ROWS),
      }],
    };
    return planKernel(gpu, call, { kernel, workgroups: Math.ceil(call.shape.rows / (8 * ROWS)) });
  },
};

/**
 * How many registers a lane needs for each column that it computes, by compilers' reports. These
 * registers hold the input, the gain, and loads in flight.
 */
const REGISTERS_PER_NUMBER = 2.25;

function sumRow(gpu: Gpu, { columns }: RowShape): RowSum {
  const { elements } = rowElement(columns);
  return subgroupRowSum(gpu, elements, REGISTERS_PER_NUMBER * columns / elements);
}

const subgroup: ForwardVariant = {
  name: "subgroup",
  unfit: unfitForSubgroups,
  // On the CPU this variant also suits calls with too few rows to keep other variants' lanes busy.
  suits: (gpu, { rows, columns }) =>
    !gpu.info.software || fillsSubgroup(gpu, columns) ||
    rows < 8 * ROWS && !suitsTiles(gpu, { rows, columns }),
  plan: (gpu, call) => planCooperative(gpu, call, sumRow(gpu, call.shape)),
};

const vectorised: ForwardVariant = {
  name: "vectorised",
  unfit: () => undefined,
  suits: () => false,
  plan: (gpu, call) =>
    planCooperative(gpu, call, workgroupRowSum(rowElement(call.shape.columns).elements)),
};

const portable: ForwardVariant = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan: (gpu, call) =>
    planKernel(gpu, call, {
      kernel: {
        parts: [scalarElement, ...inverse, workgroupSum, {
          file: "rms_norm/forward.wgsl",
          source: forwardSource,
        }],
      },
      workgroups: call.shape.rows,
    }),
};

/** The variants of RMSNorm forward, in order of preference. */
export const rmsNormForwardVariants: readonly ForwardVariant[] = [
  subgroup,
  tile,
  rowPerInvocation,
  vectorised,
  portable,
];
