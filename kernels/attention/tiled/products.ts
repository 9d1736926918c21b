/**
 * Computes inner products of a tile's rows with its columns, `step` of the D numbers at a time:
 *
 *     name[row, column] = Σ_d rows[row, d] · columns[column, d]
 *
 * At each d an invocation reads one vector per block from workgroup memory, and multiplies the
 * vectors of rows with the vectors of columns. Several groups of four d are unrolled, so their
 * indices are constants and their reads start together.
 */
import { groupsTogether, operandPlace, stagedOperands } from "./memory.ts";
import { type Operand, stage } from "./staging.ts";
import {
  type AttentionTiledOptions,
  component,
  eachBlock,
  eachCell,
  tileOf,
  uncounted,
} from "./tile.ts";
import { unroll } from "../../unroll.ts";

export interface Products {
  readonly name: string;
  readonly rows: Operand;
  readonly columns: Operand;
  /**
   * Whether operands stay unrounded even with f16, where a step is then half as long. Default:
   * false.
   */
  readonly exact?: boolean;
}

/**
 * Computes {@linkcode Products}, declared as `name{a}_{b}_{c}`. Two barriers per step: the first
 * waits until all invocations have read the earlier contents of `tile`; the second waits until all
 * have written the new ones.
 */
export function products(
  options: AttentionTiledOptions,
  { name, rows, columns, exact = false }: Products,
): string {
  const { vectors, vector } = tileOf(options);
  const { across, blocksAcross } = options;
  const staged = stagedOperands(options, exact);
  const groups = staged.step / 4;
  const together = groupsTogether(options);
  const read = (side: "rows" | "columns", group: number, e: number, block: string) =>
    staged.keep.get(
      operandPlace(options, side, { group: { turn: "turn", group: `${group}u` }, e, block }),
    );
  const oneD = (group: number, e: number) => `
        {
          ${
    eachBlock(options, (a) => `let rows${a} = ${read("rows", group, e, `firstBlock + ${a}u`)};`)
  }
          ${
    unroll(
      blocksAcross,
      (b) => `let columns${b} = ${read("columns", group, e, `x + ${b * across}u`)};`,
    )
  }
          ${
    eachCell(
      options,
      (a, b, c) => `${name}${a}_${b}_${c} += rows${a} * columns${b}.${component(c)};`,
    )
  }
        }`;
  return `
    ${eachCell(options, (a, b, c) => `var ${name}${a}_${b}_${c} = ${vector}();`)}
    for (var firstVector = 0u; firstVector < ${
    uncounted(`${vectors}u`)
  }; firstVector += ${groups}u) {
      workgroupBarrier();
      ${stage(options, { rows, columns }, staged)}
      workgroupBarrier();
      for (var turn = 0u; turn < ${uncounted(`${groups / together}u`)}; turn++) {
        ${unroll(together, (group) => unroll(4, (e) => oneD(group, e)))}
      }
    }`;
}
