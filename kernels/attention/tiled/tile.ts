/**
 * What the attention kernels for GPUs have in common: a workgroup of `across` × `down` invocations owns a tile of rows
 * and walks past tiles of columns (queries against keys, or keys against queries).
 *
 * A tile has 4 · quadsDown · down rows and 4 · quadsAcross · across columns. Invocation (x, y) owns the quads of four
 * rows y, y + down, … and the quads of four columns x, x + across, …: neighbors read neighboring vec4f. Of the tile's
 * numbers it holds in registers a vec4f of four rows for each quad of rows a, quad of columns b and column c of it:
 * `name{a}_{b}_{c}`. Of results with D numbers per row it holds the vec4f columns x, x + across, … of its rows:
 * `name{row}_{n}`.
 *
 * Products of rows with columns go through workgroup memory, `step` of the D numbers at a time, turned so that a
 * vec4f holds four rows or four columns at one d. The same memory then holds the tile's weights.
 *
 * Source: Volkov and Demmel, "Benchmarking GPUs to tune dense linear algebra", SC 2008; Dao, arXiv 2307.08691.
 */
import {
  declareTile,
  elementBytes,
  type Keeping,
  keeping,
  keepingInPlanes,
  type TileStorage,
} from "./storage.ts";
import { unroll } from "../../unroll.ts";

/** What a tiled kernel of attention is made for. */
export interface AttentionTiledOptions {
  /** Invocations of a workgroup, one below the other. */
  readonly down: number;
  /** Invocations of a workgroup, side by side. */
  readonly across: number;
  /** Quads of rows that an invocation owns. */
  readonly quadsDown: number;
  /** Quads of columns that an invocation owns. */
  readonly quadsAcross: number;
  /** D numbers that are in workgroup memory at once, a multiple of 4. */
  readonly step: number;
  /** D, a multiple of 4. */
  readonly headDim: number;
  /**
   * How operands and weights are kept in workgroup memory. Default: f32. With f16 they are rounded to it, but for those
   * that a kernel wants exact; sums are f32 all the same.
   */
  readonly storage?: TileStorage;
}

const COMPONENTS = ["x", "y", "z", "w"];

/** The lengths that follow from the options. */
export interface Tile {
  readonly rowQuads: number;
  readonly columnQuads: number;
  readonly rows: number;
  readonly columns: number;
  readonly invocations: number;
  /** D / 4 */
  readonly vectors: number;
  /** vec4f columns of an invocation's rows. */
  readonly chunks: number;
  /** Elements of `tile`, the workgroup memory of operands and weights. */
  readonly shared: number;
  readonly storage: TileStorage;
}

/** The lengths of a tile. */
export function tileOf(options: AttentionTiledOptions): Tile {
  const { down, across, quadsDown, quadsAcross, step, headDim, storage = "f32" } = options;
  const rowQuads = down * quadsDown, columnQuads = across * quadsAcross;
  return {
    rowQuads,
    columnQuads,
    rows: 4 * rowQuads,
    columns: 4 * columnQuads,
    invocations: down * across,
    vectors: headDim / 4,
    chunks: Math.ceil(headDim / 4 / across),
    // One vec4f of padding a line, against bank conflicts.
    shared: Math.max(step * (rowQuads + columnQuads + 2), 4 * columnQuads * rowQuads),
    storage,
  };
}

/**
 * The workgroup memory of a tiled kernel.
 *
 * @param options the tile
 * @returns bytes
 */
export function attentionTiledMemory(options: AttentionTiledOptions): number {
  const { shared, rowQuads, storage } = tileOf(options);
  return elementBytes(storage) * shared + 16 * options.across * rowQuads;
}

/** Loops over an invocation's part of the tile. */
export function eachQuad({ quadsDown }: AttentionTiledOptions, line: (a: number) => string) {
  return unroll(quadsDown, line);
}

/** The same, over quads of rows, quads of columns, and columns. */
export function eachCell(
  { quadsDown, quadsAcross }: AttentionTiledOptions,
  line: (a: number, b: number, c: number) => string,
): string {
  return unroll(quadsDown, (a) => unroll(quadsAcross, (b) => unroll(4, (c) => line(a, b, c))));
}

/** The same, over single rows. */
export function eachRow(
  { quadsDown }: AttentionTiledOptions,
  line: (row: number, quad: number, component: string) => string,
): string {
  return unroll(4 * quadsDown, (r) => line(r, Math.floor(r / 4), COMPONENTS[r % 4]!));
}

/** The workgroup memory that the functions below use, with `partial` if a kernel shares a number per row. */
export function declarations(
  options: AttentionTiledOptions,
  { partial }: { readonly partial: boolean },
): string {
  const { shared, rowQuads, storage } = tileOf(options);
  const size = options.across * rowQuads;
  return `
${declareTile(storage, shared)}
${partial ? `var<workgroup> partial: array<vec4f, ${size}>; // [x][quad of rows]` : ""}`;
}

/** Where the rows or columns of a product lie. */
export interface Operand {
  /** `array<vec4f>`, D / 4 per row. */
  readonly buffer: string;
  /** The index of the first row of the head. */
  readonly head: string;
  /** The first row of the tile, counted in the head. */
  readonly first: string;
}

// A vec4f of each of four rows, turned into four vec4f of four rows.
function load(
  options: AttentionTiledOptions,
  { buffer, head, first }: Operand,
  { quads, offset, pitch, step, keep }: {
    quads: number;
    offset: number;
    pitch: number;
    step: number;
    keep: Keeping;
  },
): string {
  const { vectors, invocations } = tileOf(options);
  const perRow = step / 4;
  const index = (e: number) => `(${head} + min(${first} + 4u * quad + ${e}u, length - 1u))`;
  return `
      for (var unit = invocation; unit < ${quads * perRow}u; unit += ${invocations}u) {
        let quad = unit / ${perRow}u;
        let vector = unit % ${perRow}u;
        let inside = firstVector + vector < ${vectors}u; // past the end both operands are zero
        let at = min(firstVector + vector, ${vectors - 1}u);
        ${
    unroll(4, (e) =>
      `let r${e} = select(vec4f(0.0), ${buffer}[${index(e)} * ${vectors}u + at], inside);`)
  }
        let place = ${offset}u + 4u * vector * ${pitch}u + quad;
        ${
    unroll(
      4,
      (e) =>
        keep.put(
          `place + ${e * pitch}u`,
          `vec4f(${unroll(4, (i) => `r${i}.${COMPONENTS[e]}`, ", ")})`,
        ),
    )
  }
      }`;
}

/** Inner products of the tile's rows with its columns. */
export interface Products {
  readonly name: string;
  readonly rows: Operand;
  readonly columns: Operand;
  /** Whether operands are never rounded. Default: not. With f16 a step is then half as long. */
  readonly exact?: boolean;
}

/**
 * Computes `Products`, declared as `name{a}_{b}_{c}`. Barriers: two per step. The first keeps `tile` until nobody reads
 * what was there; the second stands between writing and reading.
 */
export function products(
  options: AttentionTiledOptions,
  { name, rows, columns, exact = false }: Products,
): string {
  const { rowQuads, columnQuads, vectors, storage } = tileOf(options);
  const { down, across, quadsAcross } = options;
  const halved = exact && storage === "f16";
  const step = halved ? options.step / 2 : options.step;
  const keep = halved ? keepingInPlanes(step * (rowQuads + columnQuads + 2)) : keeping(storage);
  const offset = step * (rowQuads + 1);
  const loaded = { step, keep };
  return `
    ${eachCell(options, (a, b, c) => `var ${name}${a}_${b}_${c} = vec4f(0.0);`)}
    for (var firstVector = 0u; firstVector < ${vectors}u; firstVector += ${step / 4}u) {
      workgroupBarrier();
      ${load(options, rows, { ...loaded, quads: rowQuads, offset: 0, pitch: rowQuads + 1 })}
      ${load(options, columns, { ...loaded, quads: columnQuads, offset, pitch: columnQuads + 1 })}
      workgroupBarrier();
      for (var d = 0u; d < ${step}u; d++) {
        ${
    eachQuad(
      options,
      (a) => `let rows${a} = ${keep.get(`d * ${rowQuads + 1}u + y + ${a * down}u`)};`,
    )
  }
        ${
    unroll(quadsAcross, (b) =>
      `let columns${b} = ${keep.get(`${offset}u + d * ${columnQuads + 1}u + x + ${b * across}u`)};`)
  }
        ${
    eachCell(
      options,
      (a, b, c) => `${name}${a}_${b}_${c} += rows${a} * columns${b}.${COMPONENTS[c]};`,
    )
  }
      }
    }`;
}

/** The position of column (b, c) of this invocation, counted in the tile. */
export function column({ across }: AttentionTiledOptions, b: number, c: number): string {
  return `(4u * x + ${4 * b * across + c}u)`;
}

/**
 * Writes this invocation's `name{a}_{b}_{c}` to `tile`; needs a barrier before and after.
 *
 * @param options the tile
 * @param name of the weights
 * @param factor what those of a quad of rows are multiplied by, the text in front of them
 */
export function share(
  options: AttentionTiledOptions,
  name: string,
  factor: (a: number) => string = () => "",
): string {
  const { rowQuads, storage } = tileOf(options);
  return eachCell(
    options,
    (a, b, c) =>
      keeping(storage).put(
        `${column(options, b, c)} * ${rowQuads}u + y + ${a * options.down}u`,
        `${factor(a)}${name}${a}_${b}_${c}`,
      ),
  );
}

/** `name{row}_{n} += weights in tile × rows of a buffer`, over the tile's columns. */
export interface Accumulation {
  readonly name: string;
  /** What the weights of a quad of rows are multiplied by, the text in front of them. Default: nothing. */
  readonly unit?: (a: number) => string;
  /** The columns' rows of D numbers. */
  readonly columns: Operand;
  /** The columns that exist, counted in the tile. */
  readonly end: string;
  /** A condition, the same for the whole workgroup, under which some row does not see some column. */
  readonly diagonal: string;
  /** Whether a row, `position{quad}` component, sees column `j` of the tile. */
  readonly seen: (row: string) => string;
}

/** Computes `Accumulation`. What a row does not see is never multiplied, not even by zero. */
export function accumulate(
  options: AttentionTiledOptions,
  { name, unit = () => "", columns: { buffer, head, first }, end, diagonal, seen }: Accumulation,
): string {
  const { rowQuads, vectors, chunks, storage } = tileOf(options);
  const weights = (a: number) =>
    unit(a) + keeping(storage).get(`j * ${rowQuads}u + y + ${a * options.down}u`);
  const body = (term: (row: number, quad: number, component: string, n: number) => string) => `
      for (var j = 0u; j < ${end}; j++) {
        ${eachQuad(options, (a) => `let weights${a} = ${weights(a)};`)}
        let start = (${head} + ${first} + j) * ${vectors}u;
        ${unroll(chunks, (n) => `let other${n} = ${buffer}[start + ${chunk(options, n)}];`)}
        ${
    eachRow(options, (r, a, e) => unroll(chunks, (n) => `${name}${r}_${n} += ${term(r, a, e, n)};`))
  }
      }`;
  return `
    if (${diagonal}) {
      ${
    body((_r, a, e, n) =>
      `select(vec4f(0.0), weights${a}.${e} * other${n}, ${seen(`position${a}.${e}`)})`
    )
  }
    } else {
      ${body((_r, a, e, n) => `weights${a}.${e} * other${n}`)}
    }`;
}

/** The vec4f column n of this invocation; past the end the last one, which is then not written. */
export function chunk(options: AttentionTiledOptions, n: number): string {
  const { vectors } = tileOf(options);
  const at = `x + ${n * options.across}u`;
  return (n + 1) * options.across <= vectors ? at : `min(${at}, ${vectors - 1}u)`;
}

/** Whether this invocation holds a vec4f column n. */
export function holds(options: AttentionTiledOptions, n: number): string {
  return `x + ${n * options.across}u < ${tileOf(options).vectors}u`;
}
