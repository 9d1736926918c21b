/**
 * What the kernels for tiles of rows have in common. They are for adapters that compute on the CPU,
 * where what counts is how many loads and stores a row takes, not how they lie: a load of four
 * numbers costs about 1.7 times a load of one, and more than all arithmetic on them.
 *
 * So rows are read four numbers at a time whatever d is, although a row may begin anywhere in such
 * a vector: rows begin alike again after PHASES of them, 1 where d is a multiple of 4, 2 where it
 * is even, 4 else. That many rows are a *group*, which is d PHASES / 4 whole vectors long. A vector
 * in which one row ends and the next begins belongs to both.
 *
 * A workgroup is one subgroup of LANES invocations; it works on a *tile* of up to 4 LANES rows.
 * What every row needs of itself lies in four registers, *banks*: row (half LANES + lane) PHASES +
 * phase of the tile has its number in bank half PHASES + phase of that lane. A lane owns a
 * *position* of the group and walks down the tile's groups, so what belongs to a column, such as
 * its gain, is read once a tile. No barriers.
 */
import { unroll } from "../unroll.ts";

/** Options of a kernel for tiles of rows. */
export interface RowTile {
  /** Invocations of the subgroup, and of the workgroup. */
  readonly lanes: number;
  /** Rows of a group: 1, 2 or 4. */
  readonly phases: number;
  /**
   * Positions of a lane at a time, kept in registers; the rest of a group is walked one position at
   * a time.
   */
  readonly width: number;
}

/** Rows of a tile for each lane. */
export const BANKS = 4;

/** Writes text once for each of the four banks. */
export function eachBank(line: (bank: number) => string): string {
  return unroll(BANKS, line);
}

/** Declarations that all of them use. */
export function tileDeclarations({ lanes, phases }: RowTile): string {
  return `
alias Gain = ${phases === 1 ? "vec4f" : "f32"};

const LANES: u32 = ${lanes}u;
const PHASES: u32 = ${phases}u;
`;
}

/** Statements that begin a tile, and that all others use. */
export function tileBegin(): string {
  return `
  let columns = parameters.columns;
  let top = workgroup.x * parameters.rowsPerTile;
  let rows = min(parameters.rowsPerTile, parameters.rows - top);
  let groups = rows / PHASES;
  let groupLength = columns * PHASES / 4u;
  let firstVector = top / PHASES * groupLength;`;
}

/** The row of the tile whose number this lane has in a bank. */
export function bankRow({ phases }: RowTile, bank: number): string {
  return `(${Math.floor(bank / phases)}u * LANES + lane.x) * PHASES + ${bank % phases}u`;
}

/** Puts statements under a condition where a position may not exist. */
export type Guard = (statements: string) => string;

/**
 * What is done at the positions of a tile's groups; `k` counts the positions that a lane has at a
 * time.
 */
export interface TileWalk {
  /** Before the groups are walked, with `gain${k}`, the gain of the position's columns, at hand. */
  readonly begin?: (k: number) => string;
  /**
   * At each group: `vector${k}` is where the position's vector lies. Loads and stores need the guard. For a name in
   * `read` there is `${name}${k}`, the rows' numbers: f32 where a vector is of one row, else vec4f.
   */
  readonly step: (k: number, guard: Guard) => string;
  /** What to do after the last group. */
  readonly end?: (k: number, guard: Guard) => string;
  /**
   * The names of the numbers that every row has; their banks are called `${name}Bank0` and so on.
   */
  readonly read: readonly string[];
}

/**
 * Walks all positions of a tile's groups.
 *
 * @param tile the shape of the tile
 * @param walk what is done
 * @returns WGSL statements
 */
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

/** An expression for the value whose index matches, else the first value. */
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
  // Of the row that the position's first element belongs to, and of the next one.
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
