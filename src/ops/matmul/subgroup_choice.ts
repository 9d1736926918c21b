/**
 * Chooses the subgroup kernel's tile for a product, whether to exchange the operands, and how to
 * read them.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { ImageLayout } from "../../gpu/plan/matrix_image.ts";
import {
  directReading,
  imageReading,
  type MatmulReading,
  type MatmulSide,
  packedReading,
} from "./packing.ts";
import { exchangeOperands, type MatmulShape } from "./shape.ts";
import { type SubgroupChoice, subgroupCost, type SubgroupPart } from "./subgroup_cost.ts";

// The most rows of a tile. Tiles with more rows take seconds to compile, and are no faster, because
// their code exceeds the caches.
const MOST_ROWS = 33;
const MOST_EXTRA = 4;
// If right is an image, loads are cheap, so a lane computes one of these numbers of columns. A tile
// of more than MOST_WITH_IMAGE accumulators per lane takes longer to compile than it saves.
const IMAGE_WIDTHS = [4, 8];
const MOST_WITH_IMAGE = 128;
// Tiles of up to MOST_OF_LARGE accumulators per lane are 10 to 20 % faster, but take seconds to
// compile. If the product has at least LARGE multiply-adds, repeated calls save more than these
// seconds. If left's rows have more than LONGEST_ROW numbers, such tiles are no faster: a tile's
// rows then evict each other from the cache.
const WIDTHS_OF_LARGE = [4, 8, 12];
const MOST_OF_LARGE = 288;
const LARGE = 2 ** 26;
const LONGEST_ROW = 512;
// Replaces MOST_WITH_IMAGE for an image of bfloat16 that is read along K. Unpacking its numbers
// makes the code longer, so fewer accumulators are worth compiling.
const MOST_WITH_PAIRS = 104;

const scalar: MatmulReading = { load: "scalar", packed: false };

// On SwiftShader, with four lanes, more columns per lane are faster.
function widthsFor(subgroupSize: number): readonly number[] {
  return subgroupSize === 4 ? [1, 2, 3, 4, 8, 12, 16] : [1, 2, 3, 4];
}

// Whether a lane's columns are neighbors in groups of four. If not, they are single columns, each
// as many columns from the next as a subgroup has lanes. Measured: on SwiftShader single columns
// are faster, because its four lanes then access four adjacent numbers at once. On lavapipe, with
// scalar loads, single columns are up to 30 % faster if a stored row of the right operand is longer
// than 1 KiB (256 numbers), and a few percent slower if it is shorter.
function groupsColumns(
  subgroupSize: number,
  { right: { inner, outer } }: MatmulShape,
  { load }: MatmulReading,
): boolean {
  return subgroupSize > 4 && (load !== "scalar" || Math.max(inner, outer) <= 256);
}

// The heights of tiles to try, multiples of `multiple`. A height is left out if a smaller one
// divides the rows into as few tiles.
function* rowsOfTiles(rows: number, multiple: number): Generator<number> {
  const most = Math.floor(MOST_ROWS / multiple) * multiple;
  for (let length = multiple; length <= most; length += multiple) {
    const tiles = Math.ceil(rows / length);
    if (Math.ceil(Math.ceil(rows / tiles) / multiple) * multiple === length) yield length;
  }
}

// The ways to divide the columns among tiles. A tile has `width` columns for each lane, and up to
// `mostExtra` extra columns. Either all tiles are equally wide, or the last tile across differs: it
// takes the remaining columns as its extra columns, or it is a narrower tile that has only the
// remaining columns.
function* partitions(
  subgroupSize: number,
  shape: MatmulShape,
  { right, mostExtra }: { readonly right: MatmulReading; readonly mostExtra: number },
): Generator<readonly SubgroupPart[]> {
  const { columns } = shape;
  const grouped = groupsColumns(subgroupSize, shape, right);
  const whole = right.load === "along-outer";
  const direct = directReading(shape, "right");
  const widths = widthsFor(subgroupSize).filter((width) => !whole || width % 4 === 0);
  const first = 0;
  for (const width of widths) {
    const lanes = subgroupSize * width;
    for (let extra = 0; extra <= mostExtra; extra++) {
      const isAligned = !whole || extra % 4 === 0 || columns <= lanes + extra;
      if (isAligned) yield [{ first, end: columns, width, grouped, extra, right }];
    }
    const tiles = Math.floor(columns / lanes);
    const beyond = columns - tiles * lanes;
    if (tiles === 0 || beyond === 0) continue;
    const end = tiles * lanes;
    if (tiles > 1 && beyond <= mostExtra) {
      yield [
        { first, end: end - lanes, width, grouped, extra: 0, right },
        { first: end - lanes, end: columns, width, grouped, extra: beyond, right },
      ];
    }
    for (
      const reading of whole ? [right, direct.load === "along-outer" ? scalar : direct] : [right]
    ) {
      const strip = widthsFor(subgroupSize)
        .filter((width) => reading.load !== "along-outer" || width % 4 === 0)
        .find((width) => subgroupSize * width >= beyond);
      if (strip === undefined || strip >= width) continue;
      yield [
        { first, end, width, grouped, extra: 0, right },
        { first: end, end: columns, width: strip, grouped, extra: 0, right: reading },
      ];
    }
  }
}

function readings(
  gpu: Gpu,
  shape: MatmulShape,
  { side, subgroupSize }: { readonly side: MatmulSide; readonly subgroupSize: number },
): MatmulReading[] {
  const direct = directReading(shape, side);
  const all = [
    direct,
    ...direct.load === "scalar" ? [] : [scalar],
    packedReading(gpu, shape, side),
  ].filter((reading) => reading !== undefined);
  return all.filter((reading) =>
    side === "left" || reading.load !== "along-outer" || groupsColumns(subgroupSize, shape, reading)
  );
}

// The choices that read right from an image. All tiles of a choice have the same width, and none
// has extra columns.
function* imageChoices(
  gpu: Gpu,
  shape: MatmulShape,
  { subgroupSize, rightImage, copies }: ChoiceOptions,
): Generator<SubgroupChoice> {
  const right = rightImage === undefined
    ? copies ? imageReading(gpu, shape, "right") : undefined
    : { ...directReading(shape, "right"), image: rightImage };
  if (right === undefined) return;
  const columns = { first: 0, end: shape.columns, grouped: true, extra: 0, right };
  const along = rightImage?.numbers === "bf16" ? right.load : undefined;
  const isLarge = rightImage === undefined &&
    shape.rows * shape.columns * shape.inner >= LARGE &&
    (shape.left.inner !== 1 || shape.inner <= LONGEST_ROW);
  const widths = isLarge ? WIDTHS_OF_LARGE : IMAGE_WIDTHS;
  const most = along === "along-inner"
    ? MOST_WITH_PAIRS
    : isLarge
    ? MOST_OF_LARGE
    : MOST_WITH_IMAGE;
  const copied = copies ? imageReading(gpu, shape, "left") : undefined;
  const lefts = [
    ...readings(gpu, shape, { side: "left", subgroupSize }),
    ...copied === undefined ? [] : [copied],
  ];
  for (const left of lefts) {
    for (const width of along === "along-outer" ? [8] : widths) {
      for (const rows of rowsOfTiles(shape.rows, left.load === "along-outer" ? 4 : 1)) {
        if (rows * width > most) continue;
        yield { shape, rows, left, parts: [{ ...columns, width }] };
      }
    }
  }
}

function* choices(
  gpu: Gpu,
  shape: MatmulShape,
  options: ChoiceOptions,
): Generator<SubgroupChoice> {
  const { subgroupSize } = options;
  if (options.rightImage !== undefined) {
    yield* imageChoices(gpu, shape, options);
    return;
  }
  for (const turned of [shape, exchangeOperands(shape)]) {
    yield* imageChoices(gpu, turned, options);
    for (const left of readings(gpu, turned, { side: "left", subgroupSize })) {
      const quads = left.load === "along-outer";
      const tall = [...rowsOfTiles(turned.rows, quads ? 4 : 1)];
      for (const right of readings(gpu, turned, { side: "right", subgroupSize })) {
        const mostExtra = quads ? 0 : MOST_EXTRA;
        for (const parts of partitions(subgroupSize, turned, { right, mostExtra })) {
          for (const rows of tall) yield { shape: turned, rows, left, parts };
        }
      }
    }
  }
}

// The choices made so far, by GPU, then by the options and the product's lengths and strides. To
// weigh thousands of candidates takes a millisecond, which is longer than a small product takes.
const chosen = new WeakMap<Gpu, Map<string, SubgroupChoice>>();

interface ChoiceOptions {
  readonly subgroupSize: number;
  readonly rightImage: ImageLayout | undefined;
  readonly copies: boolean;
}

/**
 * Chooses the tile with the lowest estimated cost.
 *
 * @param options `rightImage`: the layout of the image that holds right, undefined if a buffer
 *   holds it; `copies`: whether operands may be copied to images. Default: false
 */
export function chooseSubgroupTile(
  gpu: Gpu,
  shape: MatmulShape,
  subgroupSize: number,
  { rightImage, copies = false }: {
    readonly rightImage?: ImageLayout | undefined;
    readonly copies?: boolean;
  } = {},
): SubgroupChoice {
  const ofGpu = chosen.get(gpu) ?? new Map<string, SubgroupChoice>();
  chosen.set(gpu, ofGpu);
  const options = { subgroupSize, rightImage, copies };
  const key = JSON.stringify([options, shape]);
  const known = ofGpu.get(key) ?? leastCost(gpu, shape, options);
  ofGpu.set(key, known);
  return known;
}

function leastCost(gpu: Gpu, shape: MatmulShape, options: ChoiceOptions): SubgroupChoice {
  let best: SubgroupChoice | undefined;
  let least = Infinity;
  for (const choice of choices(gpu, shape, options)) {
    const total = subgroupCost(options.subgroupSize, choice);
    if (total < least) [best, least] = [choice, total];
  }
  return best!;
}
