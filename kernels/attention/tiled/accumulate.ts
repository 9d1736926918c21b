/**
 * Adds weights times rows of a buffer to an invocation's sums:
 *
 *     name[row, d] += Σ_column weight[row, column] · buffer[column, d]
 *
 * The weights lie in workgroup memory (memory.ts). The buffer's rows are read from global memory.
 *
 * Neighboring columns form runs of equal length. A run needs no mask if all rows of the invocation
 * see all of its columns. Several columns of a run are read before the first product, so the reads
 * overlap in time. In the other runs, a mask tells for each column which rows see it: those rows
 * add the product, and the others add nothing, not even a product with zero.
 */
import { type Group, groupAt, groupsTogether, weightAt, weightPlace } from "./memory.ts";
import { declareSeen, type Sight } from "./sight.ts";
import type { Operand } from "./staging.ts";
import { keeping, type Place } from "./storage.ts";
import { type AttentionTiledOptions, eachBlock, eachChunk, tileOf, uncounted } from "./tile.ts";
import { unroll } from "../../unroll.ts";

/**
 * The sums `name{row}_{n}`, to which each column of the tile adds its weight times its row of a
 * buffer.
 */
export interface Accumulation {
  readonly name: string;
  /**
   * WGSL that scales the weights of row block `a` and stands in front of them, such as `2.0 *`.
   * Default: none.
   */
  readonly unit?: (a: number) => string;
  /** The buffer whose rows the weights multiply: one row per column of the tile. */
  readonly columns: Operand;
  readonly sight: Sight;
  /** How many 32-bit numbers the invocation must keep besides these sums. Default: 0. */
  readonly beside?: number;
}

/**
 * Writes WGSL for an {@linkcode Accumulation} over the columns that `sight` shows. It reads the
 * weights that `share` (memory.ts) wrote before a barrier, and has no barriers of its own.
 */
export function accumulate(
  options: AttentionTiledOptions,
  { name, unit = () => "", columns: { buffer, head, first }, sight, beside = 0 }: Accumulation,
): string {
  const { across } = options;
  const { vectors, chunks, storage, columns, ownRows } = tileOf(options);
  const weightsIn = (place: (a: number) => Place) =>
    eachBlock(options, (a) => `let weights${a} = ${unit(a)}${keeping(storage).get(place(a))};`);
  const weights = (group: Group, e: number) =>
    weightsIn((a) => weightPlace(options, { group, e, a }));
  const loads = loadsAtOnce(options, beside);
  const groups = groupsOfRun(options, loads);
  const run = 4 * groups; // its columns
  const groupOfRun = (i: number): Group =>
    groups === groupsTogether(options)
      ? { turn: "run", group: `${i}u` }
      : groupAt(options, `(${groups}u * run + ${i}u)`);
  const masked = columnsMasked(options);
  // The most steps that the loop over masked columns can take. An invocation has at most `ownRows`
  // masked columns on the diagonal. At each of the `sight.ends` ends of the full runs, fewer than
  // `run` more columns remain.
  const most = Math.ceil((ownRows + sight.ends * run) / masked) + 1;
  const maskedWeights = (j: number) =>
    masked === 4
      ? weights(groupAt(options, "column / 4u"), j)
      : weightsIn((a) => weightAt(options, `(column + ${j}u)`, a));
  const batch = Math.min(4 * groups, powerOfTwo(loads / chunks));
  const load = (j: number) =>
    unroll(
      chunks,
      (n) => `let other${j}_${n} = ${buffer}[start + ${j * vectors + n * across}u];`,
    );
  const batches = unroll(4 * groups / batch, (i) => `
      ${unroll(batch, (k) => load(i * batch + k))}
      if (${sight.sees(options, "column", run)}) {
        ${
    unroll(batch, (k) => {
      const j = i * batch + k;
      return `
        {
          ${weights(groupOfRun(Math.floor(j / 4)), j % 4)}
          ${
        eachChunk(
          options,
          (r, n, a, e) => `${name}${r}_${n} += weights${a}.${e} * other${j}_${n};`,
        )
      }
        }`;
    })
  }
      }`);
  const start = `let start = (${head} + ${first} + column) * ${vectors}u + x;`;
  // NVIDIA's compiler needs twice the registers for loads whose addresses may differ between a
  // subgroup's invocations. So all invocations have the same loop bounds and read every run.
  return `
    for (var run = 0u; run < ${uncounted(`${columns / run}u`)}; run++) {
      let column = ${run}u * run;
      ${start}
      ${batches}
    }
    if (!isWhole) {
      ${sight.declareRange(options, run)}
      let skipped = (max(fullTo, fullFrom) - fullFrom) / ${masked}u;
      for (var step = 0u; step < ${uncounted(`${most}u`)}; step++) {
        let i = someFrom / ${masked}u + step;
        if (${masked}u * (i + skipped) < someTo) {
          let column = ${masked}u * select(i, i + skipped, ${masked}u * i >= fullFrom);
          ${start}
          ${
    unroll(masked, (j) => `
          {
            ${declareSeen(options, sight, `${first} + column + ${j}u`)}
            ${maskedWeights(j)}
            ${load(j)}
            ${
      eachChunk(
        options,
        (r, n, a, e) =>
          `${name}${r}_${n} += select(vec4f(), weights${a}.${e} * other${j}_${n}, seen${a}.${e});`,
      )
    }
          }`)
  }
        }
      }
    }`;
}

/**
 * How many registers an invocation may use for each of its rows. They hold its sums, the numbers of
 * `beside`, and the vec4f that it is loading.
 */
const REGISTERS_OF_ROW = 24;

function loadsAtOnce(options: AttentionTiledOptions, beside: number): number {
  const { ownRows, chunks } = tileOf(options);
  const left = (REGISTERS_OF_ROW * ownRows - 4 * ownRows * chunks - beside) / 4;
  return Math.max(4, Math.min(16, powerOfTwo(left)));
}

// How many groups of four columns form a run, which the kernel unrolls: at least one. A run of
// several groups has at most `writtenOut` multiply-adds, and loads at most 2 · `loads` vectors.
function groupsOfRun(options: AttentionTiledOptions, loads: number): number {
  const { ownRows, chunks } = tileOf(options);
  const { writtenOut = 256 } = options;
  const groups = Math.min(writtenOut / (16 * ownRows * chunks), 2 * loads / (4 * chunks));
  return Math.min(powerOfTwo(groups), groupsTogether(options));
}

// How many columns one step of the loop over masked columns unrolls: 1, 2 or 4. With 2 or 4, a step
// has at most a quarter of `writtenOut` multiply-adds, because masks triple the instructions.
function columnsMasked(options: AttentionTiledOptions): number {
  const { ownRows, chunks } = tileOf(options);
  const { writtenOut = 256 } = options;
  return Math.min(4, powerOfTwo(writtenOut / (16 * ownRows * chunks)));
}

// The largest power of two up to a number, and at least 1.
function powerOfTwo(number: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, number)));
}
