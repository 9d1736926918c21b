/**
 * The variants of RMSNorm backward.
 *
 * | variant              | for                           | why                                   |
 * | -------------------- | ----------------------------- | ------------------------------------- |
 * | `subgroup`           | GPUs; CPU: short rows         | the row stays in registers: one read  |
 * | `tile`               | CPU, 8+ lanes, enough rows    | vec4f loads for any d; few gain loads |
 * | `row-per-invocation` | other CPUs                    | no subgroups, no barrier; 3 stages    |
 * | `vectorised`         | tuning only                   | sums a row through workgroup memory   |
 * | `portable`           | GPUs without subgroups        | the readable definition               |
 */
import backwardGainSource from "../../../kernels/rms_norm/backward_gain.wgsl" with { type: "text" };
import backwardInputSource from "../../../kernels/rms_norm/backward_input.wgsl" with {
  type: "text",
};
import { rmsNormBackwardFused } from "../../../kernels/rms_norm/backward_fused.wgsl.ts";
import { rmsNormBackwardRowsGradient } from "../../../kernels/rms_norm/backward_rows_gradient.wgsl.ts";
import { rmsNormBackwardRowsMean } from "../../../kernels/rms_norm/backward_rows_mean.wgsl.ts";
import { rmsNormBackwardTile } from "../../../kernels/rms_norm/backward_tile.wgsl.ts";
import backwardRowSource from "../../../kernels/rms_norm/backward_row.wgsl" with {
  type: "text",
};
import type { Gpu } from "../../gpu/gpu.ts";
import type { Dispatch } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { workgroupSum } from "../shared/parts.ts";
import {
  divideRows,
  fillsSubgroup,
  rowElement,
  type RowShape,
  type RowSum,
  scalarElement,
  subgroupRowSum,
  sumRowsOf,
  workgroupRowSum,
} from "../rows/parts.ts";
import { divideIntoTiles, suitsTiles, unfitForTiles } from "../rows/tiles.ts";
import { unfitForStorage, unfitForSubgroups } from "../shared/unfit.ts";
import { spreadWorkgroups } from "../shared/validation.ts";
import type { Variant, VariantPlan } from "../shared/variants.ts";

/** A checked call of RMSNorm backward, with its output tensors. */
export interface RmsNormBackwardCall {
  readonly shape: RowShape;
  readonly input: Tensor;
  readonly gain: Tensor;
  readonly inverseRms: Tensor;
  readonly outputGradient: Tensor;
  readonly inputGradient: Tensor;
  readonly gainGradient: Tensor;
}

type BackwardVariant = Variant<RowShape, RmsNormBackwardCall>;

// Makes the buffer for the gain gradient's partial sums, one for each run of rows. There are at
// most as many runs as rows, so the buffer is no larger than the input.
function storeRuns(gpu: Gpu, runs: number, { shape }: RmsNormBackwardCall): GPUBuffer {
  return gpu.storage(4 * runs * shape.columns);
}

function sumRuns(runs: number, partialGain: GPUBuffer, call: RmsNormBackwardCall): Dispatch {
  const { columns } = call.shape;
  const { part, elements } = rowElement(columns);
  return {
    kernel: sumRowsOf(part),
    parameters: [{ u32: runs }, { u32: columns }],
    buffers: [partialGain, call.gainGradient],
    workgroups: [Math.ceil(elements / 64)],
  };
}

const tile: BackwardVariant = {
  name: "tile",
  unfit: unfitForTiles,
  suits: suitsTiles,
  plan(gpu, call) {
    const { shape } = call;
    const { columns } = shape;
    const { tile, rows, rowsPerTile, tiles } = divideIntoTiles(gpu, shape);
    const partials = tiles * tile.phases + shape.rows - rows;
    const partialGain = storeRuns(gpu, partials, call);
    const buffers = [
      ...[call.input, call.gain, call.inverseRms, call.outputGradient, call.inputGradient],
      partialGain,
    ];
    const whole: Dispatch = {
      kernel: {
        parts: [{ file: "rms_norm/backward_tile.wgsl.ts", source: rmsNormBackwardTile(tile) }],
        features: ["subgroups"],
      },
      parameters: [{ u32: rows }, { u32: columns }, { u32: rowsPerTile }],
      buffers,
      workgroups: [tiles],
    };
    const { part, constants, features } = subgroupRowSum(gpu, columns);
    const rest: Dispatch = {
      kernel: {
        parts: [scalarElement, part, {
          file: "rms_norm/backward_row.wgsl",
          source: backwardRowSource,
        }],
        constants,
        features,
      },
      parameters: [{ u32: rows }, { u32: columns }, { u32: tiles * tile.phases }],
      buffers,
      workgroups: [shape.rows - rows],
    };
    return {
      scratch: [partialGain],
      dispatches: [
        whole,
        ...rows < shape.rows ? [rest] : [],
        sumRuns(partials, partialGain, call),
      ],
    };
  },
};

/**
 * How many rows an invocation of `row-per-invocation` computes. If there are more, more rows share
 * each load of the gain, but the kernel takes longer to compile.
 */
const ROWS = 4;

/**
 * How many neighboring elements of each row an invocation computes in the second of the three
 * stages of `row-per-invocation`. If rows are 4 KiB apart, more elements make the stage no faster.
 */
const WIDTH = 2;

const rowPerInvocation: BackwardVariant = {
  name: "row-per-invocation",
  forCpu: true,
  unfit(gpu, { rows, columns }) {
    const { elements } = rowElement(columns);
    const most = 8 * WIDTH * gpu.device.limits.maxComputeWorkgroupsPerDimension;
    return unfitForStorage(gpu, 8 * rows) ??
      (elements <= most ? undefined : `a row has ${elements} elements, it reaches ${most}`);
  },
  suits: (gpu) => gpu.info.software,
  plan(gpu, call) {
    const { rows, columns } = call.shape;
    const { part, elements } = rowElement(columns);
    const division = divideRows(rows, { least: 64, most: 256 });
    const partialGain = storeRuns(gpu, division.runs, call);
    const statistics = gpu.storage(8 * rows);
    return {
      scratch: [partialGain, statistics],
      dispatches: [{
        kernel: {
          parts: [part, {
            file: "rms_norm/backward_rows_mean.wgsl.ts",
            source: rmsNormBackwardRowsMean(ROWS),
          }],
        },
        parameters: [{ u32: rows }, { u32: columns }],
        buffers: [
          ...[call.input, call.gain, call.inverseRms, call.outputGradient],
          statistics,
        ],
        workgroups: spreadWorkgroups(gpu, Math.ceil(rows / (8 * ROWS))),
      }, {
        kernel: {
          parts: [part, {
            file: "rms_norm/backward_rows_gradient.wgsl.ts",
            source: rmsNormBackwardRowsGradient(WIDTH),
          }],
        },
        parameters: [{ u32: rows }, { u32: columns }, { u32: division.rowsPerRun }],
        buffers: [
          call.input,
          call.gain,
          statistics,
          call.outputGradient,
          call.inputGradient,
          partialGain,
        ],
        workgroups: [Math.ceil(elements / (8 * WIDTH)), division.runs],
      }, sumRuns(division.runs, partialGain, call)],
    };
  },
};

function planFused(gpu: Gpu, call: RmsNormBackwardCall, sum: RowSum): VariantPlan {
  const { rows, columns } = call.shape;
  const { part, elements } = rowElement(columns);
  const division = divideRows(rows, { least: 8, most: 512 });
  const partialGain = storeRuns(gpu, division.runs, call);
  return {
    scratch: [partialGain],
    dispatches: [{
      kernel: {
        parts: [part, sum.part, {
          file: "rms_norm/backward_fused.wgsl.ts",
          source: rmsNormBackwardFused({ elements, lanes: sum.lanes }),
        }],
        constants: sum.constants,
        features: sum.features,
      },
      parameters: [{ u32: rows }, { u32: columns }, { u32: division.rowsPerRun }],
      buffers: [
        ...[call.input, call.gain, call.inverseRms, call.outputGradient, call.inputGradient],
        partialGain,
      ],
      workgroups: [division.runs],
    }, sumRuns(division.runs, partialGain, call)],
  };
}

function unfitForFused(sum: RowSum, { columns }: RowShape): string | undefined {
  const { elements } = rowElement(columns);
  const most = sum.lanes * sum.elementsPerLane;
  return elements <= most
    ? undefined
    : `a row of ${columns} numbers is ${elements} elements, a workgroup's registers hold ${most}`;
}

// Whether the code of the fused kernel's loop over rows exceeds a core's cache of decoded
// instructions. It does if a lane holds more than four vec4f. If a lane holds single numbers, the
// code has a quarter of the instructions and always fits.
function outgrowsLoop(gpu: Gpu, { columns }: RowShape): boolean {
  return columns % 4 === 0 && columns > 16 * (gpu.info.subgroupSize?.minimum ?? 0);
}

/**
 * How many registers a lane needs for each column that it computes, by compilers' reports. These
 * registers hold the input, the output's gradient, the gain and the gain's gradient.
 */
const REGISTERS_PER_NUMBER = 4.5;

function sumRow(gpu: Gpu, { columns }: RowShape): RowSum {
  const { elements } = rowElement(columns);
  return subgroupRowSum(gpu, elements, REGISTERS_PER_NUMBER * columns / elements);
}

const subgroup: BackwardVariant = {
  name: "subgroup",
  unfit: (gpu, shape) => unfitForSubgroups(gpu) ?? unfitForFused(sumRow(gpu, shape), shape),
  suits: (gpu, shape) =>
    !gpu.info.software ||
    fillsSubgroup(gpu, shape.columns) && !(suitsTiles(gpu, shape) && outgrowsLoop(gpu, shape)),
  plan: (gpu, call) => planFused(gpu, call, sumRow(gpu, call.shape)),
};

const vectorised: BackwardVariant = {
  name: "vectorised",
  unfit: (_gpu, shape) => unfitForFused(workgroupRowSum(rowElement(shape.columns).elements), shape),
  suits: () => false,
  plan: (gpu, call) =>
    planFused(gpu, call, workgroupRowSum(rowElement(call.shape.columns).elements)),
};

const portable: BackwardVariant = {
  name: "portable",
  unfit: () => undefined,
  suits: () => true,
  plan(gpu, call) {
    const { input, gain, inverseRms, outputGradient, inputGradient } = call;
    const { rows, columns } = call.shape;
    // At most 256 runs of rows: enough to fill a GPU, and so few that it costs little to add up
    // their sums.
    const division = divideRows(rows, { least: 16, most: 256 });
    const partialGain = storeRuns(gpu, division.runs, call);
    return {
      scratch: [partialGain],
      dispatches: [{
        kernel: {
          parts: [workgroupSum, {
            file: "rms_norm/backward_input.wgsl",
            source: backwardInputSource,
          }],
        },
        parameters: [{ u32: rows }, { u32: columns }],
        buffers: [input, gain, inverseRms, outputGradient, inputGradient],
        workgroups: spreadWorkgroups(gpu, rows),
      }, {
        kernel: {
          parts: [{ file: "rms_norm/backward_gain.wgsl", source: backwardGainSource }],
        },
        parameters: [{ u32: rows }, { u32: columns }, { u32: division.rowsPerRun }],
        buffers: [input, inverseRms, outputGradient, partialGain],
        workgroups: [Math.ceil(columns / 64), division.runs],
      }, sumRuns(division.runs, partialGain, call)],
    };
  },
};

/** The variants of RMSNorm backward, in order of preference. */
export const rmsNormBackwardVariants: readonly BackwardVariant[] = [
  subgroup,
  tile,
  rowPerInvocation,
  vectorised,
  portable,
];
