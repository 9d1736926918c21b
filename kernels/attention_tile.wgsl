// Shared by the attention kernels that walk 32x32 tiles; put in front of each of them.
//
// A tile has 32 query rows and 32 keys. 8x8 invocations own one 4x4 block of it each. A block is a mat4x4f whose
// column i holds row i of the block, so that with blocks A and B whose rows run over the same four columns
// transpose(B) * A  is a block of A Bᵀ, and with rows of B over the columns of A  B * A  is a block of A B.
// Rows of D numbers are read as `vectors` = D / 4 vec4f, so D is a multiple of 4.

const COLUMNS_PER_LANE: u32 = 2u; // ceil(D / 32): the vec4f columns of a row-sized result that one invocation owns

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

// V-scale's factors r / (r + C) of four rows, given (r, C) of each.
fn valveFactors(a: vec2f, b: vec2f, c: vec2f, d: vec2f) -> vec4f {
  return vec4f(a.x, b.x, c.x, d.x) / vec4f(a.x + a.y, b.x + b.y, c.x + c.y, d.x + d.y);
}
