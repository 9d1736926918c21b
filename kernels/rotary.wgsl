// RoPE's rotation of a head's row: columns i and i + D/2 turn by t · base^(−2i/D) at position t. Put in front of
// split_heads.wgsl and merge_heads.wgsl.
//
// The angles come as cosines and sines from the CPU: WGSL promises its own to 2^-11 only.
//
// Source: Su et al., arXiv 2104.09864, in the order of columns of Hugging Face's Llama.

struct Parameters {
  batches: u32, // B
  heads: u32, // H
  sequenceLength: u32, // T
  pairs: u32, // D / 2
  rotated: u32, // 0: the rows are moved as they are
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> angles: array<vec2f>; // [T, D / 2] of (cosine, sine)
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

// Where a pair of columns lies in a tensor of rows and in one of heads, and its angle.
struct Place {
  row: u32, // in [B, T, H D]
  head: u32, // in [B, H, T, D]
  angle: vec2f,
}

fn placeOf(index: u32) -> Place {
  let pairs = parameters.pairs;
  let pair = index % pairs;
  let position = index / pairs % parameters.sequenceLength;
  let matrix = index / pairs / parameters.sequenceLength; // of [B, H]
  let batch = matrix / parameters.heads;
  let row = batch * parameters.sequenceLength + position;
  let angle = select(vec2f(1.0, 0.0), angles[position * pairs + pair], parameters.rotated == 1u);
  return Place(
    2u * pairs * (row * parameters.heads + matrix % parameters.heads) + pair,
    2u * pairs * (matrix * parameters.sequenceLength + position) + pair,
    angle);
}

fn pairCount() -> u32 {
  return parameters.batches * parameters.heads * parameters.sequenceLength * parameters.pairs;
}
