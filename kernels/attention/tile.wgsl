// Shared by the attention kernels that walk 32x32 tiles; put in front of each of them.
//
// A tile has 32 rows that a workgroup owns and 32 columns that it walks past: queries and keys, or
// keys and queries. Each of 8x8 invocations owns one 4x4 block of it. A block is a mat4x4f with one
// column of the mat4x4f for each column of the tile; its components are the four rows. With four
// rows and four columns of D numbers, the block of their inner products is  transpose(rows) *
// columns , summed over the vec4f of the D numbers. Rows of D numbers are read as `vectors` = D / 4
// vec4f, so D is a multiple of 4.
//
// Results with a row of D numbers for each row of the tile are spread so that invocation (x, y)
// holds the rows 4x..4x+3 and of them the vec4f columns y, y+8, y+16, …: again blocks, one column
// of the mat4x4f a row.

const COLUMNS_PER_LANE: u32 = 2u; // ceil(D / 32), or more
// The loop over them: constant, so that a GPU's compiler keeps results in registers, or rolled,
// which one pipeline for every D can use, and which compiles faster where registers do not matter.
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

// V-scale's factor r / (r + C), given (r, C).
fn valveFactor(valve: vec2f) -> f32 {
  return valve.x / (valve.x + valve.y);
}
