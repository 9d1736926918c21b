/**
 * The layout of workgroup memory in attention's tiled kernels.
 *
 * `tile[turn][group][e][block]` holds, one after the other,
 *
 *     operands   a block of rows, or of columns, at d = 4 · (together · turn + group) + e
 *     weights    a block of rows at the column of that number
 *
 * The columns' operands stand beside those of the rows, or below them, whichever takes less memory.
 * `partial[x][block]` holds a vector of each invocation for each of its blocks of rows.
 *
 * The operands of the rows are staged again for each tile of columns. Keeping them would take 38
 * KiB instead of 21 in tiled-64x64-4x4 at D 64. That is more than browsers allow, and leaves room
 * for 3 instead of 4 subgroups on a SIMD unit of RDNA 2. It would save 1 of 40 instructions
 * (`deno task compilers`).
 *
 * A turn of the kernels' loops unrolls its groups and their e, because computing and checking
 * constant indices costs no instructions.
 *
 * Workgroup memory serves 128 bytes at once, one number from each of 32 banks: a vec4f for each of
 * 8 invocations, or half of one for 16. The odd pitches and the order of staging.ts keep vectors in
 * different banks:
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
import { type AttentionTiledOptions, columnOffset, eachBlock, eachCell, tileOf } from "./tile.ts";
import { unroll } from "../../unroll.ts";

/** The lengths of `tile` and `partial`. */
interface Layout {
  /** Groups of four d, or four columns, that are written out together. */
  readonly together: number;
  /** How often these groups are walked in a step. */
  readonly turns: number;
  /** Vectors of one d, or one column, with the padding. */
  readonly pitch: number;
  /** Where the operand of columns begins. */
  readonly columnsTurn: number;
  readonly columnsBlock: number;
  /** Vectors of one x in `partial`, including padding. */
  readonly partialPitch: number;
}

function odd(length: number): number {
  return length | 1;
}

function layoutOf(options: AttentionTiledOptions): Layout {
  const { rowBlocks, columnBlocks, columns } = tileOf(options);
  const together = groupsTogether(options);
  const steps = options.step / 4 / together, weights = columns / 4 / together;
  const beside = {
    turns: Math.max(steps, weights),
    pitch: odd(rowBlocks + columnBlocks),
    columnsTurn: 0,
    columnsBlock: rowBlocks,
  };
  const below = {
    turns: Math.max(2 * steps, weights),
    pitch: odd(Math.max(rowBlocks, columnBlocks)),
    columnsTurn: steps,
    columnsBlock: 0,
  };
  const size = ({ turns, pitch }: typeof beside) => turns * pitch;
  return {
    ...(size(beside) <= size(below) ? beside : below),
    together,
    partialPitch: odd(rowBlocks),
  };
}

/** How many groups of four d a turn of the loop over d unrolls; at most half of a step. */
export function groupsTogether(options: AttentionTiledOptions): number {
  const { ownRows, columns, storage } = tileOf(options);
  const multiplyAdds = 4 * ownRows * columns / options.across;
  // With f16, steps of unrounded operands are half as long.
  const groups = options.step / (storage === "f16" ? 8 : 4);
  return Math.max(1, Math.min((options.writtenOut ?? 256) / multiplyAdds, groups / 2));
}

/**
 * The workgroup memory of a tiled kernel.
 *
 * @param options the tile
 * @returns bytes
 */
export function attentionTiledMemory(options: AttentionTiledOptions): number {
  const { side, storage } = tileOf(options);
  const { turns, together, pitch, partialPitch } = layoutOf(options);
  return elementBytes(storage, side) * 4 * together * turns * pitch +
    4 * side * options.across * partialPitch;
}

/** Declares `tile`, with `partial` if a kernel shares a number for each row. */
export function declarations(
  options: AttentionTiledOptions,
  { partial }: { readonly partial: boolean },
): string {
  const { side, storage, vector } = tileOf(options);
  const { turns, together, pitch, partialPitch } = layoutOf(options);
  const element = elementType(storage, side);
  return `
// [turn][group][e][block] of operands at d, or of weights at a column: 4 (${together} turn + group)
// + e
var<workgroup> tile: array<array<array<array<${element}, ${pitch}>, 4>, ${together}>, ${turns}>;
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

/** The group with a number that is only known at run time. */
export function groupAt(options: AttentionTiledOptions, group: string): Group {
  const { together } = layoutOf(options);
  return together === 1
    ? { turn: group, group: "0u" }
    : { turn: `${group} / ${together}u`, group: `${group} % ${together}u` };
}

/** The place of a block of rows, or columns, in `tile`, at number `e` of a group of four d. */
export function operandPlace(
  options: AttentionTiledOptions,
  side: "rows" | "columns",
  { group: { turn, group }, e, block }: {
    readonly group: Group;
    readonly e: number;
    readonly block: string;
  },
): Place {
  const { columnsTurn, columnsBlock } = layoutOf(options);
  const [down, right] = side === "rows" ? [0, 0] : [columnsTurn, columnsBlock];
  return (planes) => `tile[${plus(turn, down + planes)}][${group}][${e}u][${plus(block, right)}]`;
}

/** The place of an invocation's block a of weights at `e` of a group of four columns. */
export function weightPlace({ turn, group }: Group, e: number, a: number): Place {
  return () => `tile[${turn}][${group}][${e}u][${plus("firstBlock", a)}]`;
}

/** The place of an invocation's block a of weights at any column. */
export function weightAt(options: AttentionTiledOptions, column: string, a: number): Place {
  const { turn, group } = groupAt(options, `${column} / 4u`);
  return () => `tile[${turn}][${group}][${column} % 4u][${plus("firstBlock", a)}]`;
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
 * @param options the tile
 * @param exact whether they must not be rounded; with f16 this halves the step
 */
export function stagedOperands(options: AttentionTiledOptions, exact: boolean): Staged {
  const { storage } = tileOf(options);
  return exact && storage === "f16"
    ? { step: options.step / 2, keep: keepingInPlanes(options.step / 8 / groupsTogether(options)) }
    : { step: options.step, keep: keeping(storage) };
}

/**
 * Writes this invocation's weights `name{a}_{b}_{c}` to `tile`; needs a barrier before and after.
 *
 * @param options the tile
 * @param name of the weights
 * @param factor what those of a block of rows are multiplied by, the text in front of them
 */
export function share(
  options: AttentionTiledOptions,
  name: string,
  factor: (a: number) => string = () => "",
): string {
  const { put } = keeping(tileOf(options).storage);
  return eachCell(options, (a, b, c) => {
    const place = weightAt(options, `(${plus("x", columnOffset(options, b, c))})`, a);
    return put(place, `${factor(a)}${name}${a}_${b}_${c}`);
  });
}

/**
 * Writes `name{a}` to `partial`. It needs a barrier after the last read of `partial`, and one
 * before `combined`.
 */
export function publish(options: AttentionTiledOptions, name: (a: number) => string): string {
  return eachBlock(options, (a) => `partial[x][${plus("firstBlock", a)}] = ${name(a)};`);
}

/**
 * Declares `name{a}`: the numbers that all invocations of a row published, combined in order.
 *
 * @param options the tile
 * @param name the name of the results
 * @param start WGSL for the initial value
 * @param combine WGSL that combines two numbers
 */
export function combined(
  options: AttentionTiledOptions,
  name: string,
  { start, combine }: {
    readonly start: (a: number) => string;
    readonly combine: (sum: string, next: string) => string;
  },
): string {
  return eachBlock(options, (a) => `
    var ${name}${a} = ${start(a)};
    ${
    unroll(
      options.across,
      (l) => `${name}${a} = ${combine(`${name}${a}`, `partial[${l}u][${plus("firstBlock", a)}]`)};`,
    )
  }`);
}
