/**
 * Plans attention backward in its precise form, out of the usual variants' dispatches. The caller
 * chooses the one key for which the form is precise: p is this key's position.
 *
 * With g the outputGradient and D_t = ⟨g_t, output_t⟩, the gradient of key p's logit is a_tp (⟨g_t,
 * v_p⟩ − D_t). If query t gives p almost all of its weight, D_t is almost ⟨g_t, v_p⟩, so the
 * difference loses digits. About half of its error comes from the rounding of the output, from
 * which D_t is computed. The other half comes from the rounding of the two inner products. The
 * exponential adds none.
 *
 * The difference does not change if one vector is subtracted from all values. This file subtracts
 * v_p. Then key p has the value 0, and the output is a sum over the other keys only, so nothing
 * cancels. This costs one more forward pass. A learned sink has weight but no value to subtract
 * from, so kernels/attention/precise/sink.wgsl corrects for its share.
 */
import shiftSinkSource from "../../../kernels/attention/precise/sink.wgsl" with {
  type: "text",
};
import shiftSource from "../../../kernels/attention/precise/shift.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/gpu.ts";
import type { Dispatch } from "../../gpu/plan.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import type { AttentionBackwardCall } from "./call.ts";
import { attentionForwardVariants } from "./forward_variants.ts";
import { planRows } from "./row.ts";
import { type AttentionShape, attentionShapeClass } from "./shape.ts";
import { planValve, throughValve } from "./valve.ts";
import { notANumber } from "../shared/parts.ts";
import { checkInteger, spreadWorkgroups } from "../shared/validation.ts";
import { chooseVariant, type Variant, type VariantPlan } from "../shared/variants.ts";
import { sumConstantTerms } from "../v_scale/constant_gradient.ts";

/** Whether, and for which key, the backward pass uses its precise form. */
export type AttentionPrecise = boolean | {
  /** The position of the key that queries give almost all of their weight. */
  readonly position: number;
};

/**
 * Checks the argument `precise`.
 *
 * @returns the position, undefined for the usual form
 * @throws {TypeError} if `precise` is neither a boolean nor `{ position }`
 * @throws {RangeError} if the position is not in the sequence
 */
export function checkPrecise(
  operator: string,
  precise: AttentionPrecise | undefined,
  { sequenceLength }: AttentionShape,
): number | undefined {
  if (precise === undefined || precise === false) return undefined;
  if (precise === true) return 0;
  if (typeof precise !== "object" || precise === null) {
    throw new TypeError(`${operator}: precise is ${precise}, wanted true, false or { position }`);
  }
  const { position } = precise;
  const name = "precise.position";
  checkInteger(position, { operator, name, minimum: 0, maximum: sequenceLength - 1 });
  return position;
}

export function planPrecise(
  gpu: Gpu,
  call: AttentionBackwardCall,
  { position, backward }: {
    readonly position: number;
    readonly backward: Variant<AttentionShape, AttentionBackwardCall>;
  },
): VariantPlan {
  const { shape, vScale, value, sinkLogit, logSumExpGradient, constantGradient } = call;
  const scratch: GPUBuffer[] = [];
  const ownTensor = (shape: readonly number[]): Tensor => {
    const tensor = gpu.empty(shape);
    scratch.push(tensor.buffer);
    return tensor;
  };
  const own = (bytes: number): GPUBuffer => {
    const buffer = gpu.storage(bytes);
    scratch.push(buffer);
    return buffer;
  };
  const rows = shape.batches * shape.queryHeads * shape.sequenceLength;
  const vScaleFull = vScale?.mode === "full" ? 1 : 0;
  const vectors = shape.headDim / 4;
  const valve = planValve(gpu, shape, { value, vScale });
  const shifted = ownTensor(value.shape);
  const shift: Dispatch = {
    kernel: { parts: [{ file: "attention/precise/shift.wgsl", source: shiftSource }] },
    parameters: [value.length / 4, vectors, shape.sequenceLength, position, vScaleFull].map(
      (u32) => ({ u32 }),
    ),
    buffers: [value, valve.valve, shifted],
    workgroups: spreadWorkgroups(gpu, Math.ceil(value.length / 4 / 64)),
  };

  // The sink's gradient comes from the usual kernels, because nothing in it cancels D_t.
  const ofSink: Dispatch[] = [];
  let rest = logSumExpGradient;
  if (sinkLogit !== undefined) {
    const statistics = own(8 * rows);
    rest = ownTensor(call.logSumExp.shape);
    ofSink.push(
      ...planRows(gpu, call, statistics),
      {
        kernel: {
          parts: [notANumber, {
            file: "attention/precise/sink.wgsl",
            source: shiftSinkSource,
          }],
        },
        parameters: [
          rows,
          shape.queryHeads,
          shape.keyValueHeads,
          shape.sequenceLength,
          vectors,
          position,
          vScaleFull,
          logSumExpGradient === undefined ? 0 : 1,
        ].map((u32) => ({ u32 })),
        buffers: [
          call.outputGradient,
          value,
          valve.valve,
          call.logSumExp,
          sinkLogit,
          logSumExpGradient ?? own(4),
          rest,
        ],
        workgroups: spreadWorkgroups(gpu, Math.ceil(rows / 64)),
      },
    );
  }

  const ofShifted = {
    ...call,
    value: shifted,
    vScale: undefined,
    output: ownTensor(call.output.shape),
    sinkLogitGradient: undefined,
    constantGradient: undefined,
  };
  const forward = chooseVariant(gpu, attentionForwardVariants, {
    operator: "attentionForward",
    shapeClass: attentionShapeClass(shape),
    shape,
    wanted: undefined,
  });
  const again = forward.plan(gpu, { ...ofShifted, logSumExp: ownTensor(call.logSumExp.shape) });
  const gradients = backward.plan(gpu, {
    ...ofShifted,
    sinkLogit: undefined,
    logSumExpGradient: rest,
  });
  return {
    scratch: [...scratch, ...valve.scratch, ...again.scratch, ...gradients.scratch],
    dispatches: [
      ...valve.dispatches,
      shift,
      ...ofSink,
      ...again.dispatches,
      ...gradients.dispatches,
      ...vScale === undefined ? [] : [throughValve(gpu, shape, { ...call, valve: valve.valve })],
      ...constantGradient === undefined
        ? []
        : [sumConstantTerms(shape, valve.valve, constantGradient)],
    ],
  };
}
