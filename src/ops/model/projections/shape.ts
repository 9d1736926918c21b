/** The shape of attention's joint projection. */
import type { Gpu } from "../../../gpu/gpu.ts";
import type { Tensor } from "../../../gpu/tensor.ts";
import { checkInteger, checkShape } from "../../shared/validation.ts";

/** The lengths of a joint projection. */
export interface ProjectionsShape {
  /** B, the number of sequences. */
  readonly batches: number;
  /** T, the number of positions. */
  readonly sequenceLength: number;
  /** Hq, the number of query heads. */
  readonly queryHeads: number;
  /** Hkv, the number of key and value heads. */
  readonly keyValueHeads: number;
  /** D, the length of a head's rows. */
  readonly headDim: number;
}

/**
 * Checks the joint projection and the numbers of heads in it.
 *
 * @throws {TypeError} for a wrong type or shape
 * @throws {RangeError} for wrong numbers of heads
 */
export function checkProjections(
  gpu: Gpu,
  operator: string,
  { projections, queryHeads, keyValueHeads }: {
    readonly projections: Tensor;
    readonly queryHeads: number;
    readonly keyValueHeads: number;
  },
): ProjectionsShape {
  checkShape(gpu, projections, {
    operator,
    name: "projections",
    wanted: ["B", "T", "(Hq + 2 Hkv) D"],
  });
  const [batches, sequenceLength, width] = projections.shape as [number, number, number];
  for (const [name, heads] of Object.entries({ queryHeads, keyValueHeads })) {
    checkInteger(heads, { operator, name, minimum: 1, maximum: width });
  }
  const headDim = width / (queryHeads + 2 * keyValueHeads);
  checkColumns(operator, headDim);
  return { batches, sequenceLength, queryHeads, keyValueHeads, headDim };
}

/**
 * Checks the length of a head's rows.
 *
 * @throws {TypeError} if it is no multiple of 4
 */
export function checkColumns(operator: string, headDim: number): void {
  if (headDim % 4 !== 0) {
    throw new TypeError(`${operator}: a head has ${headDim} columns, wanted a multiple of 4`);
  }
}
