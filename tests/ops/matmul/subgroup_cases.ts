/**
 * Small products with which tests check the subgroup kernel, each with a given tile. matmul()
 * itself chooses this kernel only for large products.
 */
import type { Gpu, planMatmul, Tensor } from "../../../mod.ts";
import { type ImageLayout, MatrixImage } from "../../../src/gpu/plan/matrix_image.ts";
import { Plan } from "../../../src/gpu/plan.ts";
import type { MatmulReading } from "../../../src/ops/matmul/packing.ts";
import { checkMatmul, exchangeOperands, matmulCost } from "../../../src/ops/matmul/shape.ts";
import { planSubgroup } from "../../../src/ops/matmul/subgroup.ts";
import type { SubgroupChoice } from "../../../src/ops/matmul/subgroup_cost.ts";
import { matmulVariants } from "../../../src/ops/matmul/variants.ts";
import { describeMatmul, type MatmulDescription, type MatmulPlanner } from "./properties.ts";

/** A product and its tile. */
export interface SubgroupCase {
  readonly name: string;
  readonly description: MatmulDescription;
  readonly exchanged?: boolean;
  readonly rows: number;
  readonly left: MatmulReading;
  /**
   * Ranges of the product's columns. The first part covers the whole tiles, and a second part
   * covers the columns after them. If the second part sets `extra`, it also covers the last whole
   * tile. kernels/matmul/subgroup.wgsl.ts explains the fields.
   */
  readonly parts: readonly {
    readonly width: number;
    /** Default: true. */
    readonly grouped?: boolean;
    readonly extra?: number;
    readonly right: MatmulReading;
  }[];
}

const BLOCKS: ImageLayout = { numbers: "f32", blocks: true };
const PAIRS: ImageLayout = { numbers: "bf16", blocks: true };
const LINES: ImageLayout = { numbers: "f32", blocks: false };
const packed: MatmulReading = { load: "along-outer", packed: true };
const alongOuter: MatmulReading = { load: "along-outer", packed: false };
const alongInner: MatmulReading = { load: "along-inner", packed: false };
const imageAlongOuter: MatmulReading = { load: "along-outer", packed: false, image: BLOCKS };
const imageAlongInner: MatmulReading = { load: "along-inner", packed: false, image: BLOCKS };
const scalar: MatmulReading = { load: "scalar", packed: false };

/**
 * Every layout of both operands and every kind of tile. Rows, columns and k often end inside a tile
 * or step.
 */
export const subgroupCases: readonly SubgroupCase[] = [
  {
    name: "copies of both operands",
    description: describeMatmul({ leading: [2], rows: 29, columns: 45, inner: 7, seed: 21 }),
    rows: 12,
    left: packed,
    parts: [{ width: 4, right: packed }],
  },
  {
    name: "a strip of columns",
    description: describeMatmul({ leading: [2], rows: 41, columns: 37, inner: 9, seed: 22 }),
    rows: 20,
    left: scalar,
    parts: [{ width: 4, right: packed }, { width: 2, right: scalar }],
  },
  {
    name: "exchanged operands that all batches share, in two columns a lane",
    description: describeMatmul({
      leading: [3],
      rows: 21,
      columns: 7,
      inner: 5,
      transposeLeft: true,
      shared: true,
      seed: 23,
    }),
    exchanged: true,
    rows: 4,
    left: scalar,
    parts: [{ width: 2, right: scalar }],
  },
  {
    name: "three columns a lane, four numbers at a time along K",
    description: describeMatmul({
      rows: 20,
      columns: 29,
      inner: 8,
      transposeLeft: true,
      transposeRight: true,
      seed: 24,
    }),
    rows: 8,
    left: alongOuter,
    parts: [{ width: 3, right: alongInner }],
  },
  {
    name: "whole vectors stored",
    description: describeMatmul({ leading: [2], rows: 37, columns: 44, inner: 12, seed: 25 }),
    rows: 16,
    left: alongInner,
    parts: [{ width: 4, right: alongOuter }],
  },
  {
    name: "exchanged copies",
    description: describeMatmul({ leading: [2], rows: 35, columns: 51, inner: 6, seed: 26 }),
    exchanged: true,
    rows: 24,
    left: packed,
    parts: [{ width: 1, right: scalar }],
  },
  {
    name: "an extra column, and a row that is dealt",
    description: describeMatmul({ leading: [2], rows: 33, columns: 33, inner: 11, seed: 27 }),
    rows: 17,
    left: scalar,
    parts: [{ width: 4, extra: 1, right: scalar }],
  },
  {
    name: "extra columns of exchanged operands, four numbers at a time along K",
    description: describeMatmul({
      leading: [2],
      rows: 39,
      columns: 23,
      inner: 12,
      transposeRight: true,
      seed: 28,
    }),
    exchanged: true,
    rows: 11,
    left: alongInner,
    parts: [{ width: 4, extra: 3, right: alongInner }],
  },
  {
    name: "extra columns in whole vectors",
    description: describeMatmul({ leading: [2], rows: 22, columns: 72, inner: 8, seed: 29 }),
    rows: 6,
    left: alongInner,
    parts: [{ width: 4, extra: 4, right: alongOuter }],
  },
  {
    name: "an extra column of a copy on the last tile",
    description: describeMatmul({
      rows: 13,
      columns: 65,
      inner: 10,
      transposeRight: true,
      seed: 30,
    }),
    rows: 13,
    left: scalar,
    parts: [{ width: 4, right: packed }, { width: 4, extra: 1, right: packed }],
  },
  {
    name: "columns that are no neighbors",
    description: describeMatmul({ leading: [2], rows: 29, columns: 68, inner: 9, seed: 32 }),
    rows: 16,
    left: packed,
    parts: [{ width: 8, grouped: false, right: scalar }],
  },
  {
    name: "an image along K, in two steps a turn",
    description: describeMatmul({
      rows: 13,
      columns: 37,
      inner: 72,
      transposeRight: true,
      seed: 33,
    }),
    rows: 6,
    left: alongInner,
    parts: [{ width: 8, right: imageAlongInner }],
  },
  {
    name: "an image along its columns, and a K that ends within a step",
    description: describeMatmul({
      leading: [2],
      rows: 20,
      columns: 44,
      inner: 11,
      transposeLeft: true,
      shared: true,
      seed: 34,
    }),
    rows: 8,
    left: alongOuter,
    parts: [{ width: 4, right: imageAlongOuter }],
  },
  {
    name: "an image along its columns, in two steps a turn",
    description: describeMatmul({ rows: 11, columns: 76, inner: 16, seed: 35 }),
    rows: 5,
    left: scalar,
    parts: [{ width: 8, right: imageAlongOuter }],
  },
  {
    name: "an image of bfloat16 along K",
    description: describeMatmul({
      rows: 13,
      columns: 29,
      inner: 136,
      transposeRight: true,
      rightInBfloat16: true,
      seed: 36,
    }),
    rows: 6,
    left: alongInner,
    parts: [{ width: 8, right: { load: "along-inner", packed: false, image: PAIRS } }],
  },
  {
    name: "an image of bfloat16 along its columns, and a K that ends within a step",
    description: describeMatmul({
      rows: 11,
      columns: 136,
      inner: 15,
      rightInBfloat16: true,
      seed: 37,
    }),
    rows: 5,
    left: scalar,
    parts: [{ width: 8, right: { load: "along-outer", packed: false, image: PAIRS } }],
  },
  {
    name: "copies of both operands in images, along K",
    description: describeMatmul({
      leading: [2],
      rows: 13,
      columns: 37,
      inner: 72,
      transposeRight: true,
      seed: 38,
    }),
    rows: 9,
    left: { load: "along-inner", packed: true, image: LINES },
    parts: [{ width: 4, right: { load: "along-inner", packed: true, image: LINES } }],
  },
  {
    name: "copies in images, along the rows of left and the columns of right",
    description: describeMatmul({
      leading: [2],
      rows: 44,
      columns: 76,
      inner: 35,
      transposeLeft: true,
      seed: 39,
    }),
    rows: 8,
    left: { load: "along-outer", packed: true, image: LINES },
    parts: [{ width: 8, right: { load: "along-outer", packed: true, image: LINES } }],
  },
  {
    name: "exchanged operands whose copies are images, in twelve columns a lane",
    description: describeMatmul({
      rows: 100,
      columns: 20,
      inner: 35,
      transposeLeft: true,
      seed: 40,
    }),
    exchanged: true,
    rows: 4,
    left: { load: "along-outer", packed: true, image: LINES },
    parts: [{ width: 12, right: { load: "along-outer", packed: true, image: LINES } }],
  },
  {
    name: "one row, whose numbers are dealt",
    description: describeMatmul({ rows: 1, columns: 40, inner: 20, seed: 31 }),
    rows: 1,
    left: scalar,
    parts: [{ width: 4, right: alongOuter }],
  },
];

export function unfitForSubgroups(gpu: Gpu): string | undefined {
  const strides = { outer: 1, inner: 1, batch: 0 };
  const shape = { rows: 1, columns: 1, inner: 1, batches: 1, left: strides, right: strides };
  return matmulVariants.find(({ name }) => name === "subgroup")!.unfit(gpu, shape);
}

/**
 * Copies a tensor's numbers into a new image. The CPU must have been the last to write the tensor,
 * so that `uploaded` has its numbers.
 */
export function imageOf(gpu: Gpu, tensor: Tensor, layout: ImageLayout = BLOCKS): MatrixImage {
  const image = new MatrixImage(gpu, tensor.shape as [number, number], layout);
  const numbers = new Float32Array(tensor.uploaded!);
  const bits = () => Uint16Array.from(new Uint32Array(numbers.buffer), (word) => word >>> 16);
  image.write(0, layout.numbers === "bf16" ? bits() : numbers);
  return image;
}

/** Makes the plan dispose of its image, too. */
export function withImage<Planned extends { readonly plan: Plan }>(
  planned: Planned,
  image: MatrixImage | undefined,
): Planned {
  const { plan } = planned;
  const dispose = plan.dispose.bind(plan);
  plan.dispose = () => {
    dispose();
    image?.dispose();
  };
  return planned;
}

/** Plans products with a case's tile. */
export function plannerFor({ name, exchanged = false, rows, left, parts }: SubgroupCase): Exclude<
  MatmulPlanner,
  string
> {
  const plan: typeof planMatmul = (gpu, options) => {
    const { shape: given, productShape } = checkMatmul(gpu, "matmul", options);
    const shape = exchanged ? exchangeOperands(given) : given;
    const product = gpu.empty(productShape);
    const subgroupSize = gpu.info.subgroupSize!.maximum;
    const [tiles, strip] = parts;
    const tile = subgroupSize * tiles!.width;
    const lastTile = Math.floor(shape.columns / tile) * tile;
    const end = strip === undefined
      ? shape.columns
      : lastTile - (strip.extra === undefined ? 0 : tile);
    const usual = { grouped: true, extra: 0 };
    const choice: SubgroupChoice = {
      shape,
      rows,
      left,
      parts: [
        { ...usual, first: 0, end, ...tiles! },
        ...strip === undefined ? [] : [{ ...usual, first: end, end: shape.columns, ...strip }],
      ],
    };
    const { image: layout, packed: copied } = tiles!.right;
    const image = layout && !copied ? imageOf(gpu, options.right, layout) : undefined;
    const call = { shape: given, left: options.left, right: image ?? options.right, product };
    const plan = new Plan(gpu, {
      operator: "matmul",
      cost: matmulCost(given),
      ...planSubgroup(gpu, call, { subgroupSize, choice }),
    });
    return withImage({ plan, product }, image);
  };
  return { name, plan };
}
