/**
 * Staging copies `step` of the D numbers of a tile's rows and columns from global memory to
 * workgroup memory, transposed. A unit is one vec4f from each of a block's rows; it is written as
 * four vectors of the block's rows.
 *
 *     units of 8 neighboring invocations        2 neighboring vec4f × 4 blocks
 *     units of `step` neighboring invocations   whole lines of `step` numbers
 *
 * So reads use whole lines of global memory, and writes use each bank once (memory.ts).
 *
 * Invocations divide the units of both operands among themselves. If one operand has fewer units
 * than there are invocations, the remaining invocations take units of the other operand.
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

// How many neighboring blocks 8 neighboring invocations stage: four, or fewer in small tiles.
function nearBlocks(blocks: number): number {
  return blocks % 4 === 0 ? 4 : blocks % 2 === 0 ? 2 : 1;
}

/**
 * Copies one unit: a vec4f from each row of a block. Rows of a tile past the end of the sequence
 * repeat the sequence's last row.
 */
function unit(
  options: AttentionTiledOptions,
  side: "rows" | "columns",
  { operand: { buffer, head, first }, staged: { step, keep } }: {
    readonly operand: Operand;
    readonly staged: Staged;
  },
): string {
  const { vectors, rowBlocks, columnBlocks, side: length } = tileOf(options);
  const pairs = step / 8; // of vec4f in a step
  const near = side === "rows" ? nearBlocks(rowBlocks) : nearBlocks(columnBlocks);
  const row = (i: number) =>
    side === "rows" ? `${length}u * block + ${i}u` : `block + ${i * columnBlocks}u`;
  const fills = vectors % (step / 4) === 0;
  const read = (i: number) =>
    `${buffer}[(${head} + min(${first} + ${row(i)}, length - 1u)) * ${vectors}u + at]`;
  return `
        let vector = ${pairs < 1 ? "0u" : `unit % 2u + 2u * (unit / ${2 * near}u % ${pairs}u)`};
        let block = ${
    pairs < 1 ? "unit" : `unit / 2u % ${near}u + ${near}u * (unit / ${2 * near * pairs}u)`
  };
        ${
    fills ? "let at = firstVector + vector;" : `
        let inside = firstVector + vector < ${vectors}u; // past D both operands are zero
        let at = min(firstVector + vector, ${vectors - 1}u);`
  }
        ${
    unroll(
      length,
      (i) => `let r${i} = ${fills ? read(i) : `select(vec4f(0.0), ${read(i)}, inside)`};`,
    )
  }
        ${
    unroll(4, (e) =>
      keep.put(
        operandPlace(options, side, { group: groupAt(options, "vector"), e, block: "block" }),
        `vec${length}f(${unroll(length, (i) => `r${i}.${component(e)}`, ", ")})`,
      ))
  }`;
}

/**
 * Stages a step of both operands, from vec4f `firstVector` of each row on. It needs a barrier
 * before and after.
 *
 * @param options the tile
 * @param operands the operands of the rows and of the columns
 * @param staged how `tile` stores them
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
  const body = (side: "rows" | "columns", unitText: string) => `
        let unit = ${unitText};
        ${unit(options, side, { operand: operands[side], staged })}`;
  const whole = parts.flatMap(({ side, units }) =>
    Array.from({ length: Math.floor(units / invocations) }, (_, pass) => `
      {${body(side, `invocation + ${pass * invocations}u`)}
      }`)
  );
  // The remaining units of each operand, staged together if there are enough invocations for both.
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
