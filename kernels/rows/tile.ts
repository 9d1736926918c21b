/**
 * Shared parts of the kernels for tiles of rows. They are for adapters that compute on the CPU.
 * There the number of loads and stores matters, not their places: a load of four numbers costs
 * about 1.7 times a load of one, and more than all arithmetic on them.
 *
 * So rows are read four numbers at a time for any d, although a row may begin anywhere in a vector.
 * After PHASES rows, a row begins at the same place in a vector again: PHASES is 1 if d is a
 * multiple of 4, 2 if it is even, else 4. That many rows form a *group* of d · PHASES / 4 whole
 * vectors. A vector in which one row ends and the next begins belongs to both rows.
 *
 * A workgroup is one subgroup of LANES invocations; it works on a *tile* of up to 4 · LANES rows.
 * Numbers that every row has, such as inverseRms, lie in four registers per lane, the *banks*:
 * row (i · LANES + lane) · PHASES + phase of the tile has its number in bank i · PHASES + phase of
 * that lane. A *position* is a vector's place in its group. A lane owns one position or several at
 * once. It visits them in every group of the tile before it takes the next ones, so the numbers of
 * a column, such as its gain, are read once per tile. No barriers.
 */
import { unroll } from "../unroll.ts";

/** Options of a kernel for tiles of rows. */
export interface RowTile {
  /** Invocations of the workgroup, which is one subgroup. */
  readonly lanes: number;
  /** Rows per group: 1, 2 or 4. */
  readonly phases: number;
  /**
   * How many positions a lane owns at once. It keeps the numbers of their columns in registers. If
   * fewer than `width · lanes` positions of the group are left, it owns one at a time.
   */
  readonly width: number;
}

/** Banks per lane for one kind of number, such as inverseRms. Each holds one row's number. */
export const BANKS = 4;

/** Writes a line for each of the four banks. */
export function eachBank(line: (bank: number) => string): string {
  return unroll(BANKS, line);
}

/** Declarations for all kernels with tiles. */
export function tileDeclarations({ lanes, phases }: RowTile): string {
  return `
alias Gain = ${phases === 1 ? "vec4f" : "f32"};

const LANES: u32 = ${lanes}u;
const PHASES: u32 = ${phases}u;
`;
}

/** Declares the lengths and the start of a workgroup's tile, which the other statements use. */
export function tileBegin(): string {
  return `
  let columns = parameters.columns;
  let top = workgroup.x * parameters.rowsPerTile;
  let rows = min(parameters.rowsPerTile, parameters.rows - top);
  let groups = rows / PHASES;
  let groupLength = columns * PHASES / 4u;
  let firstVector = top / PHASES * groupLength;`;
}

/** The row of the tile to which this lane's number in `bank` belongs. */
export function bankRow({ phases }: RowTile, bank: number): string {
  return `(${Math.floor(bank / phases)}u * LANES + lane.x) * PHASES + ${bank % phases}u`;
}

/** Returns the statements, inside an `if` where the position may lie past the group's end. */
export type Guard = (statements: string) => string;

/**
 * What a lane does at the positions of a tile's groups. `k` is a position's number, from 0, among
 * those that the lane owns at once.
 */
export interface TileWalk {
  /**
   * Statements for position k before the first group. `gain${k}` is a vec4f: the gains of the four
   * columns at that position.
   */
  readonly begin?: (k: number) => string;
  /**
   * Statements for position k in each group. `vector${k}` is the index of the vector there. `guard`
   * must enclose the statements that load or store that vector. For each name in `read`,
   * `${name}${k}` is that number of the vector's row: an f32 if `phases` is 1. Else the vector may
   * belong to two rows, and `${name}${k}` is a vec4f: each element is the number of its own row.
   */
  readonly step: (k: number, guard: Guard) => string;
  /** Statements for position k after the last group. */
  readonly end?: (k: number, guard: Guard) => string;
  /**
   * The names of the numbers that every row has, such as its inverseRms. A name's banks are
   * `${name}Bank0` and so on.
   */
  readonly read: readonly string[];
}

/** Walks all positions of a tile's groups. */
export function walkTile(tile: RowTile, walk: TileWalk): string {
  return `
  var base = 0u;
  for (; base + ${tile.width}u * LANES <= groupLength; base += ${tile.width}u * LANES) {
    ${walkPositions(tile, walk, tile.width)}
  }
  for (; base < groupLength; base += LANES) {
    let inside = base + lane.x < groupLength;
    ${walkPositions(tile, walk, 1, (statements) => `if (inside) { ${statements} }`)}
  }`;
}

/** WGSL for the value whose condition `isIndex(i)` holds, or for the first value if none holds. */
export function choose(values: readonly string[], isIndex: (i: number) => string): string {
  return values.reduce((text, value, i) =>
    i === 0 ? value : `select(${text}, ${value}, ${isIndex(i)})`
  );
}

function walkPositions(
  { phases }: RowTile,
  { begin = () => "", step, end = () => "", read }: TileWalk,
  width: number,
  guard: Guard = (statements) => statements,
): string {
  const halves = BANKS / phases;
  const each = (count: number, name: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => name(i));
  const eachPosition = (line: (k: number) => string) => unroll(width, line);
  const eachPhase = (line: (p: number) => string) => unroll(phases, line);
  const readEach = (line: (name: string) => string) => read.map(line).join("\n");
  const gains = (k: number) =>
    phases === 1
      ? `gain[position${k}]`
      : `vec4f(${["x", "y", "z", "w"].map((i) => `gain[wrapped${k}.${i}]`).join(", ")})`;
  // Each element takes the number, such as inverseRms, of its own row: a vector can hold the end of
  // one row and the start of the next.
  const rowsNumber = (name: string, k: number) => {
    const values = each(phases, (p) => `${name}Row${p}`);
    const first = choose(values, (p) => `phase${k} == ${p}u`);
    const second = choose(values, (p) => `phase${k} + 1u == ${p}u`);
    return phases === 1 ? first : `select(vec4f(${first}), vec4f(${second}), next${k})`;
  };
  return `
    ${
    eachPosition((k) => `
    let position${k} = base + lane.x + ${k}u * LANES;
    ${
      phases === 1 ? "" : `
    let phase${k} = 4u * position${k} / columns;
    let column${k} = vec4u(4u * position${k} - phase${k} * columns) + vec4u(0u, 1u, 2u, 3u);
    let next${k} = column${k} >= vec4u(columns);
    let wrapped${k} = select(column${k}, column${k} - vec4u(columns), next${k});`
    }
    var gain${k} = vec4f();
    ${guard(`gain${k} = ${gains(k)};`)}
    ${begin(k)}`)
  }
    for (var half = 0u; half < ${halves}u && half * LANES < groups; half++) {
      ${
    readEach((name) =>
      eachPhase((p) => {
        const banks = each(halves, (h) => `${name}Bank${h * phases + p}`);
        return `let ${name}Half${p} = ${choose(banks, (h) => `half == ${h}u`)};`;
      })
    )
  }
      ${
    eachPosition((k) => `
      var vector${k} = firstVector + half * LANES * groupLength + position${k};`)
  }
      let count = min(groups - half * LANES, LANES);
      for (var group = 0u; group < count; group++) {
        ${
    readEach((name) =>
      eachPhase((p) => `let ${name}Row${p} = subgroupShuffle(${name}Half${p}, group);`)
    )
  }
        ${
    eachPosition((k) => `
        ${readEach((name) => `let ${name}${k} = ${rowsNumber(name, k)};`)}
        ${step(k, guard)}
        vector${k} += groupLength;`)
  }
      }
    }
    ${eachPosition((k) => end(k, guard))}`;
}
