/**
 * Shared parts of attention backward's panel kernels. A panel holds one number per pair of a query
 * and a key, for some heads and a chunk of the keys: the probabilities P, or the logits' gradients
 * dS. So each number is computed once, and a backward pass consists of five matrix products.
 *
 * A chunk is a range of W tiles of K keys. A panel is stored as [query heads of the chunk, W, T,
 * K], with T rounded up to whole tiles of R queries. A tile's rows are contiguous, so a walk along
 * the queries reads contiguous memory. Queries past the end have probability 0. On diagonal tiles,
 * entries above the diagonal are undefined and readers skip them; tiles wholly above it are never
 * written or read.
 */

/** The sides of a panel's tiles. */
export interface PanelTile {
  /** R, how many rows of a panel or of a gradient a workgroup computes; a multiple of 4. */
  readonly rows: number;
  /** K, the keys per tile; a multiple of R. */
  readonly keys: number;
}

/**
 * Writes the panel kernels' parameters, and functions that compute places in a panel from them, as
 * WGSL to put in front of a kernel.
 */
export function panelHeader({ rows, keys }: PanelTile): string {
  return `
struct Parameters {
  length: u32, // T
  headDim: u32, // D
  groupSize: u32, // query heads per key and value head
  scale: f32,
  vScaleFull: u32, // 1: factors come from valve
  firstHead: u32, // the chunk's first key and value head, counted over the batch
  firstTile: u32, // the chunk's first tile of keys
  tiles: u32, // W
}

@group(0) @binding(0) var<uniform> parameters: Parameters;

const ROWS: u32 = ${rows}u;
const KEYS: u32 = ${keys}u;

fn tilesOfRows() -> u32 {
  return (parameters.length + ROWS - 1u) / ROWS;
}

// The distance in a panel from a row's numbers in one tile of keys to those in the next tile.
fn panelStride() -> u32 {
  return tilesOfRows() * ROWS * KEYS;
}

// Where a row's numbers in a tile of keys start in a panel. Heads and tiles are numbered within the
// chunk.
fn panelStart(head: u32, tile: u32, row: u32) -> u32 {
  return (head * parameters.tiles + tile) * panelStride() + row * KEYS;
}

// The tile of a panel that a workgroup computes. Workgroups are numbered down each column of tiles,
// from the diagonal on, one column after another.
struct Place {
  tile: u32, // of keys, counted from the chunk's first
  firstKey: u32,
  firstRow: u32,
}

fn placeOf(workgroup: u32) -> Place {
  var tile = 0u;
  var below = workgroup;
  for (var rows = tilesOfRows() - parameters.firstTile * (KEYS / ROWS); below >= rows; rows -= KEYS / ROWS) {
    below -= rows;
    tile++;
  }
  let firstKey = (parameters.firstTile + tile) * KEYS;
  return Place(tile, firstKey, firstKey + below * ROWS);
}
`;
}
