// The places of attention's query, key and value in the rows of their joint projection, and RoPE's
// angles. Put this file in front of model/split_projections.wgsl and model/merge_projections.wgsl.
//
// A row holds the Hq query heads, then the Hkv key heads, then the Hkv value heads, D columns each.
// RoPE rotates columns i and i + D/2 of a query or key head at position t by the angle t f_i. The
// frequency f_i is base^(−2i/D) unless the caller gives other frequencies. Values stay unchanged.
// The cosines and sines come from the CPU, because WGSL guarantees its own only to 2^-11.
//
// Source: Su et al., arXiv 2104.09864, with the column order of Hugging Face's Llama.

alias Element = vec2f; // vec4f if D is a multiple of 8

// Compiled-in lengths. In place of a length that is 0 here, the kernel takes the parameter's.
const LENGTH: u32 = 0u;
const QUERY_HEADS: u32 = 0u;
const KEY_HEADS: u32 = 0u;
const ELEMENTS: u32 = 0u;

struct Parameters {
  rows: u32, // B T
  sequenceLength: u32, // T
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  elements: u32, // Elements in half a head's row: D / 4, or D / 8 if an Element is a vec4f
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> angles: array<Element>; // [T, D]: D / 2 cosines, D / 2 sines

const QUERY: u32 = 0u;
const KEY: u32 = 1u;
const VALUE: u32 = 2u;

// The place of an Element in the first half of a head's row. The Element that RoPE pairs with it
// lies half a row further.
struct Place {
  valid: bool,
  part: u32, // QUERY, KEY or VALUE
  joint: u32, // the Element's index in the joint projection, [B, T, (Hq + 2 Hkv) D]
  own: u32, // the Element's index in the query, key or value tensor, [B, H, T, D]
  cosine: Element,
  sine: Element,
}

fn placeOf(index: u32) -> Place {
  let half = select(parameters.elements, ELEMENTS, ELEMENTS > 0u);
  let length = select(parameters.sequenceLength, LENGTH, LENGTH > 0u);
  let queryHeads = select(parameters.queryHeads, QUERY_HEADS, QUERY_HEADS > 0u);
  let keyHeads = select(parameters.keyValueHeads, KEY_HEADS, KEY_HEADS > 0u);
  let heads = queryHeads + 2u * keyHeads;
  let column = index % half;
  let row = index / half / heads;
  var head = index / half % heads;
  let position = row % length;
  let joint = 2u * half * (row * heads + head) + column;
  var part = QUERY;
  var own = queryHeads;
  if (head >= queryHeads) {
    part = KEY;
    own = keyHeads;
    head -= queryHeads;
    if (head >= keyHeads) {
      part = VALUE;
      head -= keyHeads;
    }
  }
  let matrix = row / length * own + head;
  var cosine = Element(1.0);
  var sine = Element(0.0);
  if (part != VALUE) {
    let angle = 2u * half * position + column;
    cosine = angles[angle];
    sine = angles[angle + half];
  }
  return Place(
    row < parameters.rows,
    part,
    joint,
    2u * half * (matrix * length + position) + column,
    cosine,
    sine);
}
