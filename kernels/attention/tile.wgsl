// Shared by the attention kernels that walk 32x32 tiles. Put this file in front of each.
//
// A workgroup keeps the tile's 32 rows; in each step it moves on to the next 32 columns. Rows are
// queries and columns are keys, or the reverse. Each of 8x8 invocations owns one 4x4 block of the
// tile. A block is a mat4x4f: each column of the matrix is a column of the tile, with one component
// for each of the block's four rows.
//
// D is a multiple of 4: a query or key is read as `vectors` = D / 4 vec4f. A block of inner
// products is a sum over these vec4f, and its terms are transpose(rows) * columns. The mat4x4f
// `rows` holds one vec4f of each of the four rows. The mat4x4f `columns` holds one vec4f of each of
// the four columns.
//
// Results with D numbers per row of the tile are spread over the invocations: (x, y) holds the
// vec4f columns y, y+8, y+16, … of rows 4x..4x+3. These are blocks again, but each column of the
// mat4x4f is a row of the tile.

const COLUMNS_PER_LANE: u32 = 2u; // ceil(D / 32), or more
// Whether the loop over a lane's columns stays rolled. Unrolled, a GPU's compiler keeps results in
// registers. Rolled, one pipeline serves every D and compiles faster, which suits a CPU.
const ROLLED: bool = false;

const TILE: u32 = 32u;
const LANES: u32 = 8u; // TILE / 4: blocks along either side of a tile
const FOUR: vec4u = vec4u(0u, 1u, 2u, 3u);

const V_SCALE_FULL: u32 = 1u;
const V_SCALE_BACKWARD_ONLY: u32 = 2u;

struct Parameters {
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv, a divisor of Hq
  sequenceLength: u32, // T
  vectors: u32, // D / 4
  scale: f32,
  vScale: u32, // 0, V_SCALE_FULL or V_SCALE_BACKWARD_ONLY
}

@group(0) @binding(0) var<uniform> parameters: Parameters;

fn columnsPerLane() -> u32 {
  if (ROLLED) {
    return (parameters.vectors + LANES - 1u) / LANES;
  }
  return COLUMNS_PER_LANE;
}

// V-scale's factor r / (r + C), given (r, C) with r = |v|².
fn valveFactor(valve: vec2f) -> f32 {
  return valve.x / (valve.x + valve.y);
}
