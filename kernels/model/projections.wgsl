// The places of attention's query, key and value in the rows of their joint projection, and RoPE's
// angles. Put this file in front of model/split_projections.wgsl and model/merge_projections.wgsl.
//
// A row holds the Hq query heads, then the Hkv key heads, then the Hkv value heads, D columns each.
// RoPE turns the columns i and i + D/2 of a query or key head at position t by t times frequency i,
// which is base^(−2i/D) unless the caller gives others; values stay unchanged. The cosines and
// sines come from the CPU, because WGSL guarantees its own only to 2^-11.
//
// Source: Su et al., arXiv 2104.09864, with the column order of Hugging Face's Llama.

alias Element = vec2f; // vec4f if D is a multiple of 8

struct Parameters {
  rows: u32, // B T
  sequenceLength: u32, // T
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  elements: u32, // of half a head's row, D / 2
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> angles: array<Element>; // [T, D]: D / 2 cosines, D / 2 sines

const QUERY: u32 = 0u;
const KEY: u32 = 1u;
const VALUE: u32 = 2u;

// The place of an Element in the first half of a head's row; its partner is half a row further.
struct Place {
  valid: bool,
  part: u32, // QUERY, KEY or VALUE
  joint: u32, // in [B, T, (Hq + 2 Hkv) D]
  own: u32, // in [B, H, T, D] of that part
  cosine: Element,
  sine: Element,
}

fn placeOf(index: u32) -> Place {
  let half = parameters.elements;
  let heads = parameters.queryHeads + 2u * parameters.keyValueHeads;
  let column = index % half;
  let row = index / half / heads;
  var head = index / half % heads;
  let position = row % parameters.sequenceLength;
  let joint = 2u * half * (row * heads + head) + column;
  var part = QUERY;
  var own = parameters.queryHeads;
  if (head >= parameters.queryHeads) {
    part = KEY;
    own = parameters.keyValueHeads;
    head -= parameters.queryHeads;
    if (head >= parameters.keyValueHeads) {
      part = VALUE;
      head -= parameters.keyValueHeads;
    }
  }
  let matrix = row / parameters.sequenceLength * own + head;
  let angle = 2u * half * position + column;
  let turned = part != VALUE;
  return Place(
    row < parameters.rows,
    part,
    joint,
    2u * half * (matrix * parameters.sequenceLength + position) + column,
    select(Element(1.0), angles[angle], turned),
    select(Element(0.0), angles[angle + half], turned));
}
