/**
 * The layout of workgroup memory in attention's tiled kernels.
 *
 * A group is four neighboring indices d of the head dimension, or four neighboring columns; e
 * counts them from 0 to 3. One iteration of a kernel's loop is called a turn. It unrolls `together`
 * groups, because constant indices cost no instructions. The array `tile[turn][group][e][block]`
 * first holds the operands of a product, then weights:
 *
 *     operands   a block of rows, or of columns, at d = 4 · (together · turn + group) + e
 *     weights    a block of rows at column 4 · (together · turn + group) + e
 *
 * The operands of the columns stand beside those of the rows, in further blocks, or below them, in
 * further turns. The weights overwrite the operands, or have an array of their own, `weights`. The
 * layout that takes least memory is chosen. `partial[x][block]` holds a vector of each invocation
 * for each of its blocks of rows.
 *
 * The operands of the rows are staged again for each tile of columns. Keeping them would take 38
 * KiB instead of 21 in tiled-64x64-4x4 at D 64. That is more than browsers allow, and leaves room
 * for 3 instead of 4 subgroups on a SIMD unit of RDNA 2. It would save 1 of 40 instructions
 * (`deno task compilers`).
 *
 * Workgroup memory serves 128 bytes at once, one number from each of 32 banks: a vec4f for each of
 * 8 invocations, or half a vec4f for each of 16. A pitch is the length of an array's last
 * dimension. Because pitches are odd, and because of the order in staging.ts, neighboring
 * invocations access vectors in different banks. The table lists the places that they access, and
 * why the banks differ:
 *
 *     staging   4 · pitch · vector + block   2 vectors × 4 blocks: 4 · pitch is 4 modulo 8
 *     weights   pitch · x + block            neighbors differ by an odd number
 *     partial   pitch · x + block            the same
 *     reading   neighboring blocks, or one block for all
 *
 * Source: Ruetsch and Micikevicius, "Optimizing matrix transpose in CUDA", NVIDIA 2009 (padding
 * against bank conflicts).
 */
import {
  elementBytes,
  elementType,
  type Keeping,
  keeping,
  keepingInPlanes,
  type Place,
  storageFunctions,
} from "./storage.ts";
import {
  type AttentionTiledOptions,
  columnOffset,
  eachBlock,
  eachCell,
  tileOf,
  uncounted,
} from "./tile.ts";
import { unroll } from "../../unroll.ts";

/** The lengths of an array of vectors: `[turns][together][4][pitch]`. */
interface Rectangle {
  readonly turns: number;
  /**
   * How many vectors there are for one d or one column, plus an unused one if that number is even.
   */
  readonly pitch: number;
}

/** The lengths of `tile`, and the place in it where the columns' operand begins. */
interface Operands extends Rectangle {
  readonly columnsTurn: number;
  readonly columnsBlock: number;
}

/** The lengths of `tile`, `weights` and `partial`. */
interface Layout {
  /** Groups of four d, or four columns, that one turn of a loop unrolls. */
  readonly together: number;
  readonly tile: Operands;
  /** Undefined where the weights lie in `tile`. */
  readonly weights: Rectangle | undefined;
  /**
   * How many vectors `partial` has for all invocations of one x, plus an unused one if that number
   * is even.
   */
  readonly partialPitch: number;
}

function odd(length: number): number {
  return length | 1;
}

function layoutOf(options: AttentionTiledOptions): Layout {
  const { rowBlocks, columnBlocks, columns } = tileOf(options);
  const together = groupsTogether(options);
  const steps = options.step / 4 / together;
  const beside = { pitch: odd(rowBlocks + columnBlocks), columnsTurn: 0, columnsBlock: rowBlocks };
  const below = {
    pitch: odd(Math.max(rowBlocks, columnBlocks)),
    columnsTurn: steps,
    columnsBlock: 0,
  };
  const weights = { turns: columns / 4 / together, pitch: odd(rowBlocks) };
  const operands = [{ ...beside, turns: steps }, { ...below, turns: 2 * steps }];
  const layouts = [
    ...operands.map((each) => ({
      tile: { ...each, turns: Math.max(each.turns, weights.turns) },
      weights: undefined,
    })),
    ...operands.map((tile) => ({ tile, weights })),
  ];
  const least = layouts.reduce((a, b) => vectorsOf(b) < vectorsOf(a) ? b : a);
  return { ...least, together, partialPitch: odd(rowBlocks) };
}

// How many vectors `tile` and `weights` together have for one value of `group` and one of `e`.
function vectorsOf({ tile, weights }: Pick<Layout, "tile" | "weights">): number {
  const size = ({ turns, pitch }: Rectangle) => turns * pitch;
  return size(tile) + (weights === undefined ? 0 : size(weights));
}

/** How many groups of four d a turn of the loop over d unrolls: at most half of a step's groups. */
export function groupsTogether(options: AttentionTiledOptions): number {
  const { ownRows, columns, storage } = tileOf(options);
  const multiplyAdds = 4 * ownRows * columns / options.across;
  // With f16, steps of unrounded operands are half as long. A turn must fit into these steps, too.
  const groups = options.step / (storage === "f16" ? 8 : 4);
  return Math.max(1, Math.min((options.writtenOut ?? 256) / multiplyAdds, groups / 2));
}

/**
 * The bytes of a tiled kernel's workgroup memory. They include `partial`, which some kernels lack.
 */
export function attentionTiledMemory(options: AttentionTiledOptions): number {
  const { side, storage } = tileOf(options);
  const layout = layoutOf(options);
  return elementBytes(storage, side) * 4 * layout.together * vectorsOf(layout) +
    4 * side * options.across * layout.partialPitch;
}

/**
 * Declares `tile` and `weights`, and also `partial` for kernels that share a number for each row.
 */
export function declarations(
  options: AttentionTiledOptions,
  { partial }: { readonly partial: boolean },
): string {
  const { side, storage, vector } = tileOf(options);
  const { tile, weights, together, partialPitch } = layoutOf(options);
  const array = ({ turns, pitch }: Rectangle) =>
    `array<array<array<array<${elementType(storage, side)}, ${pitch}>, 4>, ${together}>, ${turns}>`;
  return `
// [turn][group][e][block]: a block's numbers in an operand at one d, or its weights at one column.
// That d or column is 4 · (${together} · turn + group) + e.
var<workgroup> tile: ${array(tile)};
${weights === undefined ? "" : `var<workgroup> weights: ${array(weights)};`}
${
    partial
      ? `var<workgroup> partial: array<array<${vector}, ${partialPitch}>, ${options.across}>; // [x][block]`
      : ""
  }
${storageFunctions(storage)}`;
}

/** The WGSL for the indices of a group of four d, or four columns, in `tile`. */
export interface Group {
  readonly turn: string;
  readonly group: string;
}

/** The indices of the group whose number is the WGSL expression `group`, known only at run time. */
export function groupAt(options: AttentionTiledOptions, group: string): Group {
  const { together } = layoutOf(options);
  return together === 1
    ? { turn: group, group: "0u" }
    : { turn: `${group} / ${together}u`, group: `${group} % ${together}u` };
}

/**
 * The place of a block of rows, or columns, in `tile`, at number `e` of a group of four d.
 *
 * @param side which operand. `columnsIf` lets the kernel decide while it runs: it is WGSL for a
 *   number that is 1 for the columns and 0 for the rows
 */
export function operandPlace(
  options: AttentionTiledOptions,
  side: "rows" | "columns" | { readonly columnsIf: string },
  { group: { turn, group }, e, block }: {
    readonly group: Group;
    readonly e: number;
    readonly block: string;
  },
): Place {
  const { columnsTurn, columnsBlock } = layoutOf(options).tile;
  if (typeof side !== "string") {
    const moved = (name: string, by: number) =>
      by === 0 ? name : `${name} + ${by}u * ${side.columnsIf}`;
    const down = moved(turn, columnsTurn), right = moved(block, columnsBlock);
    return (planes) => `tile[${plus(down, planes)}][${group}][${e}u][${right}]`;
  }
  const [down, right] = side === "rows" ? [0, 0] : [columnsTurn, columnsBlock];
  return (planes) => `tile[${plus(turn, down + planes)}][${group}][${e}u][${plus(block, right)}]`;
}

/** The place of an invocation's block `a` of weights at `e` of a group of four columns. */
export function weightPlace(
  options: AttentionTiledOptions,
  { group: { turn, group }, e, a }: {
    readonly group: Group;
    readonly e: number | string;
    readonly a: number;
  },
): Place {
  const array = layoutOf(options).weights === undefined ? "tile" : "weights";
  const component = typeof e === "number" ? `${e}u` : e;
  return () => `${array}[${turn}][${group}][${component}][${plus("firstBlock", a)}]`;
}

/** The place of an invocation's block `a` of weights at the column given by the WGSL `column`. */
export function weightAt(options: AttentionTiledOptions, column: string, a: number): Place {
  return weightPlace(options, {
    group: groupAt(options, `${column} / 4u`),
    e: `${column} % 4u`,
    a,
  });
}

/**
 * The place of an invocation's block a of weights at its column (b, c). If an invocation's columns
 * lie whole turns apart, only the turn differs between their places, and one address serves all.
 */
function ownWeightPlace(
  options: AttentionTiledOptions,
  { a, b, c }: { readonly a: number; readonly b: number; readonly c: number },
): Place {
  const offset = columnOffset(options, b, c);
  const turn = 4 * groupsTogether(options);
  if (offset % turn !== 0) return weightAt(options, `(${plus("x", offset)})`, a);
  const fits = options.across <= turn;
  const group: Group = {
    turn: fits ? `${offset / turn}u` : plus(`x / ${turn}u`, offset / turn),
    group: turn === 4 ? "0u" : fits ? "x / 4u" : groupAt(options, "x / 4u").group,
  };
  return weightPlace(options, { group, e: "x % 4u", a });
}

function plus(name: string, constant: number): string {
  return constant === 0 ? name : `${name} + ${constant}u`;
}

/** How `tile` stores operands, and how many of their D numbers at once. */
export interface Staged {
  readonly step: number;
  readonly keep: Keeping;
}

/**
 * Returns how `tile` stores operands.
 *
 * @param exact whether operands must stay unrounded; with f16 this halves the step
 */
export function stagedOperands(options: AttentionTiledOptions, exact: boolean): Staged {
  const { storage } = tileOf(options);
  return exact && storage === "f16"
    ? { step: options.step / 2, keep: keepingInPlanes(options.step / 8 / groupsTogether(options)) }
    : { step: options.step, keep: keeping(storage) };
}

/**
 * Writes this invocation's weights `name{a}_{b}_{c}` to `tile` or `weights`. It needs a barrier
 * before and after.
 *
 * @param factor WGSL that scales the weights of row block `a` and stands in front of them, such as
 *   `2.0 *`
 */
export function share(
  options: AttentionTiledOptions,
  name: string,
  factor: (a: number) => string = () => "",
): string {
  const { put } = keeping(tileOf(options).storage);
  return eachCell(
    options,
    (a, b, c) => put(ownWeightPlace(options, { a, b, c }), `${factor(a)}${name}${a}_${b}_${c}`),
  );
}

/**
 * Writes `name(a)`, a vector for each row block a, to `partial`. It needs a barrier after the last
 * read of `partial`, and one before `combined`.
 */
export function publish(options: AttentionTiledOptions, name: (a: number) => string): string {
  return eachBlock(options, (a) => `partial[x][${plus("firstBlock", a)}] = ${name(a)};`);
}

/** Declares `name{a}`: the numbers that all invocations of a row published, combined in order. */
export function combined(
  options: AttentionTiledOptions,
  name: string,
  { start, combine }: {
    readonly start: (a: number) => string;
    readonly combine: (sum: string, next: string) => string;
  },
): string {
  const { across } = options;
  const written = across > 32 ? 16 : across; // 64 unrolled lines would be too much code
  const next = (a: number, l: string) =>
    `${name}${a} = ${combine(`${name}${a}`, `partial[${l}][${plus("firstBlock", a)}]`)};`;
  return eachBlock(options, (a) => `
    var ${name}${a} = ${start(a)};
    ${
    written === across
      ? unroll(across, (l) => next(a, `${l}u`))
      : `for (var first = 0u; first < ${uncounted(`${across}u`)}; first += ${written}u) {
      ${unroll(written, (l) => next(a, plus("first", l)))}
    }`
  }`);
}
