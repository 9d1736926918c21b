/**
 * What attention backward's panel kernels have in common. A panel holds one number for each pair of a query and a key of
 * a chunk of the keys, for some heads: the probabilities P, or the logits' gradients dS. So each of them is computed
 * once, and the five products of a backward pass are five matrix products.
 *
 * A chunk is a range of W tiles of 32 keys. A panel is stored as [heads of the chunk, W, T, 32], T up to whole tiles:
 * a tile's rows follow one another, so that whoever walks along the queries reads one run of memory. Queries past the end
 * have probability 0. Pairs of a query with a later key hold anything in a tile that the diagonal goes through, and those who
 * read it leave them out; tiles of nothing but such pairs are neither written nor read.
 *
 * One subgroup of 8 lanes is a workgroup and computes 32 × 32 numbers: one vec4f of each of 32 rows a lane. Each
 * number of the left operand is loaded by one lane and broadcast from there. The inner length goes in steps of four,
 * whose products are added to an accumulator in one statement, because on a CPU carrying an accumulator around
 * the loop costs more than adding to it. No barrier, no workgroup memory.
 */
import { unroll } from "./unroll.ts";

/** Lanes of a subgroup. */
export const PANEL_LANES = 8;

/** Rows and columns of a tile. */
export const PANEL_TILE = 32;

const COMPONENTS = ["x", "y", "z", "w"] as const;

/** The parameters of all three kernels, and what is made of them. */
export const PANEL_PARAMETERS = `
struct Parameters {
  length: u32, // T
  vectors: u32, // D / 4
  groupSize: u32, // query heads of a key and value head
  scale: f32,
  vScaleFull: u32, // 1: factors come from valve
  firstHead: u32, // the chunk's first key and value head, counted over the batch
  firstTile: u32, // the chunk's first tile of keys
  tiles: u32, // W
}

@group(0) @binding(0) var<uniform> parameters: Parameters;

// Tiles of 32 that T tokens take.
fn tilesOfAll() -> u32 {
  return (parameters.length + ${PANEL_TILE - 1}u) / ${PANEL_TILE}u;
}

// Where a tile of keys begins in a panel, in vec4f; the tile is counted from the chunk's first.
fn panelStart(head: u32, tile: u32) -> u32 {
  return (head * parameters.tiles + tile) * tilesOfAll() * ${PANEL_TILE * PANEL_TILE / 4}u;
}
`;

/** One line for each row of a tile. */
export function eachRow(line: (row: number) => string, separator = "\n"): string {
  return unroll(PANEL_TILE, line, separator);
}

/** The loads of the left operand that the lanes share. */
export interface LeftLoads {
  /** Declares `left0` … `left3`, vec4f. */
  readonly loads: string;
  /** The number of a row at the inner index k + u, broadcast. */
  readonly number: (row: number, u: number) => string;
}

/** Left rows that are contiguous along the inner length: lane l reads rows l, l + 8, …, at the vec4f `index`. */
export function leftAlongInner(buffer: string, index: (group: number) => string): LeftLoads {
  return {
    loads: unroll(4, (j) => `let left${j} = ${buffer}[${index(j)}];`),
    number: (row, u) =>
      `subgroupBroadcast(left${row >> 3}.${COMPONENTS[u]}, ${row % PANEL_LANES}u)`,
  };
}

/** Left rows that are contiguous across: lane l reads rows 4 l to 4 l + 3 of the inner index k + u, at the vec4f `index`. */
export function leftAcross(buffer: string, index: (u: number) => string): LeftLoads {
  return {
    loads: unroll(4, (u) => `let left${u} = ${buffer}[${index(u)}];`),
    number: (row, u) => `subgroupBroadcast(left${u}.${COMPONENTS[row % 4]}, ${row >> 2}u)`,
  };
}

/**
 * Adds a step's products, `left × right0 … right3`, to the accumulators `name0`, ….
 *
 * @param name the accumulators' name
 * @param left the left operand's numbers
 * @param seen whether a row sees the inner index k + u; what it does not see is never multiplied in. All see all if not
 *   given
 */
export function addProducts(
  name: string,
  { number }: LeftLoads,
  seen?: (row: number, u: number) => string,
): string {
  return eachRow((r) => {
    const term = (u: number) => {
      const product = `${number(r, u)} * right${u}`;
      return seen === undefined ? product : `select(vec4f(0.0), ${product}, ${seen(r, u)})`;
    };
    return `      ${name}${r} += ${unroll(4, term, " + ")};`;
  });
}
