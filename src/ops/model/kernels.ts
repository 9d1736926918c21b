/** The WGSL kernels of the operators that only a model needs, by operator. */
import type { Kernel, KernelPart } from "../../gpu/pipelines.ts";
import { notANumber } from "../shared/kernels.ts";
import { rowElement } from "../rows/parts.ts";
import absoluteMaximumSource from "../../../kernels/arithmetic/absolute_maximum.wgsl" with {
  type: "text",
};
import accumulateSource from "../../../kernels/arithmetic/accumulate.wgsl" with { type: "text" };
import adamWSource from "../../../kernels/arithmetic/adamw.wgsl" with { type: "text" };
import addSource from "../../../kernels/arithmetic/add.wgsl" with { type: "text" };
import copySource from "../../../kernels/arithmetic/copy.wgsl" with { type: "text" };
import crossEntropyBackwardSource from "../../../kernels/model/cross_entropy_backward.wgsl" with {
  type: "text",
};
import crossEntropyForwardSource from "../../../kernels/model/cross_entropy_forward.wgsl" with {
  type: "text",
};
import crossEntropyForwardRowsSource from "../../../kernels/model/cross_entropy_forward_rows.wgsl" with {
  type: "text",
};
import crossEntropyRowSource from "../../../kernels/model/cross_entropy_row.wgsl" with {
  type: "text",
};
import embeddingBackwardSource from "../../../kernels/model/embedding_backward.wgsl" with {
  type: "text",
};
import embeddingForwardSource from "../../../kernels/model/embedding_forward.wgsl" with {
  type: "text",
};
import fakeQuantizeRowsSource from "../../../kernels/arithmetic/fake_quantize_rows.wgsl" with {
  type: "text",
};
import fakeQuantizeSource from "../../../kernels/arithmetic/fake_quantize.wgsl" with {
  type: "text",
};
import learnedConstantBackwardSource from "../../../kernels/v_scale/learned_constant_backward.wgsl" with {
  type: "text",
};
import learnedConstantForwardSource from "../../../kernels/v_scale/learned_constant_forward.wgsl" with {
  type: "text",
};
import mergeHeadsSource from "../../../kernels/model/merge_heads.wgsl" with { type: "text" };
import normSource from "../../../kernels/arithmetic/norm.wgsl" with { type: "text" };
import mergeProjectionsSource from "../../../kernels/model/merge_projections.wgsl" with {
  type: "text",
};
import projectionsSource from "../../../kernels/model/projections.wgsl" with { type: "text" };
import quantizedSource from "../../../kernels/arithmetic/quantized.wgsl" with { type: "text" };
import sigmoidSource from "../../../kernels/model/sigmoid.wgsl" with { type: "text" };
import splitHeadsSource from "../../../kernels/model/split_heads.wgsl" with { type: "text" };
import splitProjectionsSource from "../../../kernels/model/split_projections.wgsl" with {
  type: "text",
};
import sumSource from "../../../kernels/arithmetic/sum.wgsl" with { type: "text" };
import sumSquaresSource from "../../../kernels/arithmetic/sum_squares.wgsl" with { type: "text" };
import swigluBackwardSource from "../../../kernels/model/swiglu_backward.wgsl" with {
  type: "text",
};
import swigluForwardSource from "../../../kernels/model/swiglu_forward.wgsl" with { type: "text" };
import workgroupSumSource from "../../../kernels/workgroup_sum.wgsl" with { type: "text" };

const workgroupSum: KernelPart = { file: "workgroup_sum.wgsl", source: workgroupSumSource };
const projections: KernelPart = { file: "model/projections.wgsl", source: projectionsSource };
const sigmoid: KernelPart = { file: "model/sigmoid.wgsl", source: sigmoidSource };
const crossEntropyRow: KernelPart = {
  file: "model/cross_entropy_row.wgsl",
  source: crossEntropyRowSource,
};

/** A kernel that reads rows of numbers four at a time where it can. */
export interface ElementKernel {
  readonly kernel: Kernel;
  /** How many elements such a row has. */
  readonly elements: number;
}

function elementKernel(
  columns: number,
  ...parts: readonly KernelPart[]
): ElementKernel {
  const { part, elements } = rowElement(columns);
  return { kernel: { parts: [part, ...parts] }, elements };
}

/** Embedding forward, for a row's length. */
export function embeddingForwardKernel(columns: number): ElementKernel {
  return elementKernel(columns, {
    file: "model/embedding_forward.wgsl",
    source: embeddingForwardSource,
  });
}

/** Embedding backward, for a row's length. */
export function embeddingBackwardKernel(columns: number): ElementKernel {
  return elementKernel(columns, {
    file: "model/embedding_backward.wgsl",
    source: embeddingBackwardSource,
  });
}

/** Rows of all heads to heads of rows. */
export const splitHeadsKernel: Kernel = {
  parts: [{ file: "model/split_heads.wgsl", source: splitHeadsSource }],
};

/** The inverse of `splitHeadsKernel`. */
export const mergeHeadsKernel: Kernel = {
  parts: [{ file: "model/merge_heads.wgsl", source: mergeHeadsSource }],
};

function projectionsKernel(headDim: number, part: KernelPart): ElementKernel {
  const width = headDim % 8 === 0 ? 4 : 2;
  return {
    kernel: { parts: [projections, part], constants: { Element: `vec${width}f` } },
    elements: headDim / 2 / width,
  };
}

/** A joint projection to query, key and value, with RoPE, for a head dimension; the elements are those of half a row. */
export function splitProjectionsKernel(headDim: number): ElementKernel {
  return projectionsKernel(headDim, {
    file: "model/split_projections.wgsl",
    source: splitProjectionsSource,
  });
}

/** The inverse of `splitProjectionsKernel`. */
export function mergeProjectionsKernel(headDim: number): ElementKernel {
  return projectionsKernel(headDim, {
    file: "model/merge_projections.wgsl",
    source: mergeProjectionsSource,
  });
}

/** SwiGLU forward, for the length of half a row. */
export function swigluForwardKernel(columns: number): ElementKernel {
  return elementKernel(columns, sigmoid, {
    file: "model/swiglu_forward.wgsl",
    source: swigluForwardSource,
  });
}

/** SwiGLU backward, for the length of half a row. */
export function swigluBackwardKernel(columns: number): ElementKernel {
  return elementKernel(columns, sigmoid, {
    file: "model/swiglu_backward.wgsl",
    source: swigluBackwardSource,
  });
}

/** A sum of two or three tensors, for their length. */
export function addKernel(length: number): ElementKernel {
  return elementKernel(length, { file: "arithmetic/add.wgsl", source: addSource });
}

/** A tensor added to another in place, for their length. */
export function accumulateKernel(length: number): ElementKernel {
  return elementKernel(length, { file: "arithmetic/accumulate.wgsl", source: accumulateSource });
}

/** A run of elements copied. */
export const copyKernel: Kernel = { parts: [{ file: "arithmetic/copy.wgsl", source: copySource }] };

/** A step of AdamW, for a tensor's length. */
export function adamWKernel(length: number): ElementKernel {
  return elementKernel(length, { file: "arithmetic/adamw.wgsl", source: adamWSource });
}

/** Cross-entropy forward, a workgroup a row. */
export const crossEntropyForwardKernel: Kernel = {
  parts: [workgroupSum, notANumber, crossEntropyRow, {
    file: "model/cross_entropy_forward.wgsl",
    source: crossEntropyForwardSource,
  }],
};

/** Cross-entropy forward, an invocation a row. */
export const crossEntropyForwardRowsKernel: Kernel = {
  parts: [notANumber, crossEntropyRow, {
    file: "model/cross_entropy_forward_rows.wgsl",
    source: crossEntropyForwardRowsSource,
  }],
};

/** Cross-entropy backward. */
export const crossEntropyBackwardKernel: Kernel = {
  parts: [notANumber, {
    file: "model/cross_entropy_backward.wgsl",
    source: crossEntropyBackwardSource,
  }],
};

/** The sum of a tensor's elements. */
export const sumKernel: Kernel = {
  parts: [workgroupSum, { file: "arithmetic/sum.wgsl", source: sumSource }],
};

/** The runs of a tensor's sum of squares. */
export const sumSquaresKernel: Kernel = {
  parts: [workgroupSum, { file: "arithmetic/sum_squares.wgsl", source: sumSquaresSource }],
};

/** A norm from sums of squares, and what clips it. */
export const normKernel: Kernel = {
  parts: [workgroupSum, { file: "arithmetic/norm.wgsl", source: normSource }],
};

/** C = base e^θ. */
export const learnedConstantForwardKernel: Kernel = {
  parts: [{ file: "v_scale/learned_constant_forward.wgsl", source: learnedConstantForwardSource }],
};

/** ∂L/∂θ = C ∂L/∂C. */
export const learnedConstantBackwardKernel: Kernel = {
  parts: [{
    file: "v_scale/learned_constant_backward.wgsl",
    source: learnedConstantBackwardSource,
  }],
};

const quantized: KernelPart = { file: "arithmetic/quantized.wgsl", source: quantizedSource };

/** Rounding to INT8 under one scale. */
export const fakeQuantizeKernel: Kernel = {
  parts: [quantized, { file: "arithmetic/fake_quantize.wgsl", source: fakeQuantizeSource }],
};

/** Rounding to INT8 under a scale a row. */
export const fakeQuantizeRowsKernel: Kernel = {
  parts: [quantized, {
    file: "arithmetic/fake_quantize_rows.wgsl",
    source: fakeQuantizeRowsSource,
  }],
};

/** The largest magnitude of a tensor. */
export const absoluteMaximumKernel: Kernel = {
  parts: [{ file: "arithmetic/absolute_maximum.wgsl", source: absoluteMaximumSource }],
};
