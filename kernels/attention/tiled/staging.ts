/**
 * Staging copies `step` of the D numbers of a tile's rows and columns from global memory to
 * workgroup memory, transposed. A unit consists of the vec4f at one index in every row of a block.
 * It is written as four vectors, each with one number from every row of the block. Neighboring
 * invocations take these units:
 *
 *     8 neighboring invocations        2 neighboring vec4f × 4 blocks
 *     `step` neighboring invocations   whole lines of `step` numbers
 *
 * So reads use whole lines of global memory, and writes use each bank once (memory.ts).
 *
 * Invocations divide the units of both operands among themselves. If one operand has fewer units
 * than there are invocations, the remaining invocations take units of the other operand. If each
 * operand has half as many units as there are invocations, each half of the invocations takes one
 * operand, and both halves run the same code except for the reads.
 *
 * Rows of a tile past the end of the sequence are those of the next head, or what WebGPU reads past
 * the end of a buffer. Nothing uses their products: those of masked columns are dropped, and no row
 * past the end is written. So row indices need no clamp, and the addresses of a block's rows differ
 * by constants.
 */
import { groupAt, operandPlace, type Staged } from "./memory.ts";
import { type AttentionTiledOptions, component, tileOf } from "./tile.ts";
import { unroll } from "../../unroll.ts";

/** The place of a product's rows or columns in memory. */
export interface Operand {
  /** The name of an `array<vec4f>` that holds D / 4 vec4f per row. */
  readonly buffer: string;
  /** WGSL for the index of the head's first row in the buffer. */
  readonly head: string;
  /** WGSL for the index of the tile's first row in the head. */
  readonly first: string;
}

// The number of neighboring blocks that 8 neighboring invocations stage: the largest of 4, 2 and 1
// that divides `blocks`.
function nearBlocks(blocks: number): number {
  return blocks % 4 === 0 ? 4 : blocks % 2 === 0 ? 2 : 1;
}

/** WGSL for one unit of an operand. The variable `unit` is the unit's number. */
interface Unit {
  /**
   * Declares `vector`, the index of the unit's vec4f in the step, and `block`, the unit's block.
   */
  readonly declare: string;
  /** Expressions that read the unit's vec4f, one of each row of the block. */
  readonly reads: readonly string[];
}

function unitOf(
  options: AttentionTiledOptions,
  side: "rows" | "columns",
  { operand: { buffer, head, first }, step }: { readonly operand: Operand; readonly step: number },
): Unit {
  const { vectors, rowBlocks, columnBlocks, side: length } = tileOf(options);
  const pairs = step / 8; // of vec4f in a step
  const near = nearBlocks(side === "rows" ? rowBlocks : columnBlocks);
  // The first row of a block, and the distance from each of its rows to the next.
  const [row, distance] = side === "rows" ? [`${length}u * block`, 1] : ["block", columnBlocks];
  const start = `(${head} + ${first} + ${row}) * ${vectors}u + firstVector + vector`;
  const fills = vectors % (step / 4) === 0;
  return {
    declare: `
        let vector = ${pairs < 1 ? "0u" : `unit % 2u + 2u * (unit / ${2 * near}u % ${pairs}u)`};
        let block = ${
      pairs < 1 ? "unit" : `unit / 2u % ${near}u + ${near}u * (unit / ${2 * near * pairs}u)`
    };
        ${fills ? "" : `let inside = firstVector + vector < ${vectors}u; // past D both are zero`}`,
    reads: Array.from({ length }, (_, i) => {
      const read = `${buffer}[${start} + ${i * distance * vectors}u]`;
      return fills ? read : `select(vec4f(), ${read}, inside)`;
    }),
  };
}

/** Writes the rows `r0` … of a unit to `tile`. */
function writeUnit(
  options: AttentionTiledOptions,
  side: "rows" | "columns" | { readonly columnsIf: string },
  { keep }: Staged,
): string {
  const { side: length } = tileOf(options);
  return unroll(4, (e) =>
    keep.put(
      operandPlace(options, side, { group: groupAt(options, "vector"), e, block: "block" }),
      `vec${length}f(${unroll(length, (i) => `r${i}.${component(e)}`, ", ")})`,
    ));
}

/**
 * Stages a step of both operands, from vec4f `firstVector` of each row on. It needs a barrier
 * before and after.
 */
export function stage(
  options: AttentionTiledOptions,
  operands: { readonly rows: Operand; readonly columns: Operand },
  staged: Staged,
): string {
  const { invocations, rowBlocks, columnBlocks } = tileOf(options);
  const perBlock = staged.step / 4;
  const parts = [
    { side: "rows" as const, units: rowBlocks * perBlock },
    { side: "columns" as const, units: columnBlocks * perBlock },
  ];
  const unit = (side: "rows" | "columns") =>
    unitOf(options, side, { operand: operands[side], step: staged.step });
  if (parts.every(({ units }) => 2 * units === invocations)) {
    const { declare, reads } = unit("rows");
    const ofColumns = unit("columns").reads;
    const half = invocations / 2;
    return `
        let unit = invocation % ${half}u;
        ${declare}
        ${unroll(reads.length, (i) => `var r${i}: vec4f;`)}
        if (invocation < ${half}u) {
          ${unroll(reads.length, (i) => `r${i} = ${reads[i]};`)}
        } else {
          ${unroll(reads.length, (i) => `r${i} = ${ofColumns[i]};`)}
        }
        ${writeUnit(options, { columnsIf: `(invocation / ${half}u)` }, staged)}`;
  }
  const body = (side: "rows" | "columns", unitText: string) => {
    const { declare, reads } = unit(side);
    return `
        let unit = ${unitText};
        ${declare}
        ${unroll(reads.length, (i) => `let r${i} = ${reads[i]};`)}
        ${writeUnit(options, side, staged)}`;
  };
  const whole = parts.flatMap(({ side, units }) =>
    Array.from({ length: Math.floor(units / invocations) }, (_, pass) => `
      {${body(side, `invocation + ${pass * invocations}u`)}
      }`)
  );
  // The remaining units of each operand. If there are enough invocations for those of both
  // operands, they are staged at the same time.
  const rests = parts.map(({ side, units }) => ({ side, units, rest: units % invocations }))
    .filter(({ rest }) => rest > 0);
  const together = rests.reduce((sum, { rest }) => sum + rest, 0) <= invocations;
  let taken = 0;
  const parted = rests.map(({ side, units, rest }, index) => {
    const from = taken;
    if (together) taken += rest;
    const last = from + rest === invocations;
    const condition = last ? "" : `if (invocation < ${from + rest}u) `;
    const offset = units - rest - from;
    const text = offset < 0 ? `invocation - ${-offset}u` : `invocation + ${offset}u`;
    return `${together && index > 0 ? " else " : "\n      "}${condition}{${body(side, text)}
      }`;
  });
  return [...whole, ...parted].join("");
}
