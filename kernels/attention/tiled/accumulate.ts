/**
 * Adds weights times rows of a buffer to an invocation's sums:
 *
 *     name[row, d] += Σ_column weight[row, column] · buffer[column, d]
 *
 * The weights lie in workgroup memory (memory.ts). The buffer's rows are read from global memory.
 * Those of several columns are read before the first product, so their latencies overlap. A masked
 * column is never multiplied, not even by zero: separate code handles single columns at the edges
 * of the visible range, and the groups inside need no mask.
 */
import { type Group, groupAt, groupsTogether, weightAt, weightPlace } from "./memory.ts";
import { declareSeen, type Edge, type Sight } from "./sight.ts";
import type { Operand } from "./staging.ts";
import { keeping } from "./storage.ts";
import { type AttentionTiledOptions, eachBlock, eachChunk, tileOf, uncounted } from "./tile.ts";
import { unroll } from "../../unroll.ts";

/**
 * The sums `name{row}_{n}`, to which each column of the tile adds its weight times its row of a
 * buffer.
 */
export interface Accumulation {
  readonly name: string;
  /**
   * WGSL in front of the weights of row block `a` that scales them, such as `2.0 *`. Default: none.
   */
  readonly unit?: (a: number) => string;
  /** The buffer whose rows the weights multiply: one row per column of the tile. */
  readonly columns: Operand;
  readonly sight: Sight;
  /** 32-bit numbers that the invocation must keep besides these sums. Default: none. */
  readonly beside?: number;
}

/**
 * Writes WGSL for an {@linkcode Accumulation} over the columns that `sight` shows. Call `share`
 * (memory.ts) and wait at a barrier before. It has no barriers of its own.
 */
export function accumulate(
  options: AttentionTiledOptions,
  { name, unit = () => "", columns: { buffer, head, first }, sight, beside = 0 }: Accumulation,
): string {
  const { across } = options;
  const { vectors, chunks, storage, columns, ownRows } = tileOf(options);
  const weights = (group: Group, e: number) =>
    eachBlock(
      options,
      (a) =>
        `let weights${a} = ${unit(a)}${
          keeping(storage).get(weightPlace(options, { group, e, a }))
        };`,
    );
  const loads = loadsAtOnce(options, beside);
  const together = groupsTogether(options);
  const groups = groupsOfRun(options, loads);
  const edge = ({ from, to }: Edge) => `
      for (var i = 0u; i < ${uncounted(`min(${Math.max(4, ownRows)}u, columnsLeft)`)}; i++) {
        let j = ${from} + i;
        if (j < ${to}) {
        let start = (${head} + ${first} + j) * ${vectors}u + x;
        ${declareSeen(options, sight, `${first} + j`)}
        ${
    eachBlock(options, (a) =>
      `let weights${a} = ${unit(a)}${keeping(storage).get(weightAt(options, "j", a))};`)
  }
        ${unroll(chunks, (n) => `let other${n} = ${buffer}[start + ${n * across}u];`)}
        ${
    eachChunk(options, (r, n, a, e) =>
      `${name}${r}_${n} += select(vec4f(), weights${a}.${e} * other${n}, seen${a}.${e});`)
  }
        }
      }`;
  // Multiplies some groups of four columns from column `column` on, in batches: first a batch's
  // loads, then its products.
  const multiply = (count: number, groupOf: (index: number) => Group) => {
    const batch = Math.min(4 * count, powerOfTwo(loads / chunks));
    const each = (from: number, line: (j: number) => string) =>
      unroll(batch, (i) => line(from + i));
    return `
      let start = (${head} + ${first} + column) * ${vectors}u + x;
      ${
      unroll(4 * count / batch, (i) => `
      ${
        each(i * batch, (j) =>
          unroll(
            chunks,
            (n) => `let other${j}_${n} = ${buffer}[start + ${j * vectors + n * across}u];`,
          ))
      }
      ${
        each(i * batch, (j) => `
      {
        ${weights(groupOf(Math.floor(j / 4)), j % 4)}
        ${
          eachChunk(
            options,
            (r, n, a, e) => `${name}${r}_${n} += weights${a}.${e} * other${j}_${n};`,
          )
        }
      }`)
      }`)
    }`;
  };
  const { before, after } = sight.edges;
  return `
    if (isWhole) {
      for (var run = 0u; run < ${uncounted(`${columns / 4 / groups}u`)}; run++) {
        let column = ${4 * groups}u * run;
        ${
    multiply(
      groups,
      (i) =>
        groups === together
          ? { turn: "run", group: `${i}u` }
          : groupAt(options, `(${groups}u * run + ${i}u)`),
    )
  }
      }
    } else {
      ${sight.declareGroups(options)}
      ${before === undefined ? "" : edge(before)}
      for (var group = 0u; group < (columnsLeft + 3u) / 4u; group++) {
        if (group >= fullFrom && group < fullTo) {
          let column = 4u * group;
          ${multiply(1, () => groupAt(options, "group"))}
        }
      }
      ${edge(after)}
    }`;
}

/** An invocation's registers per row: for its sums, `beside`, and vec4f that are being loaded. */
const REGISTERS_OF_ROW = 24;

/** The number of vec4f loads in flight at once. */
function loadsAtOnce(options: AttentionTiledOptions, beside: number): number {
  const { ownRows, chunks } = tileOf(options);
  const left = (REGISTERS_OF_ROW * ownRows - 4 * ownRows * chunks - beside) / 4;
  return Math.max(4, Math.min(16, powerOfTwo(left)));
}

// Groups of four columns to unroll together: about `writtenOut` multiply-adds, but at most two
// batches of loads.
function groupsOfRun(options: AttentionTiledOptions, loads: number): number {
  const { ownRows, chunks } = tileOf(options);
  const { writtenOut = 256 } = options;
  const groups = Math.min(writtenOut / (16 * ownRows * chunks), 2 * loads / (4 * chunks));
  return Math.min(powerOfTwo(groups), groupsTogether(options));
}

// The largest power of two up to a number, and at least 1.
function powerOfTwo(number: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, number)));
}
