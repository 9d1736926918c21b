// The place of a head's row in attention's joint projection, and its gain. Put this file in front
// of model/head_norm/forward.wgsl and model/head_norm/backward.wgsl.
//
// A row of the joint projection holds the Hq query heads, then the Hkv key heads, then the Hkv
// value heads, D columns each. Query and key heads are normalized over their D columns, with one
// gain for all query heads and one for all key heads; value heads stay unchanged.
//
// Source: Qwen3 in Hugging Face's transformers.

struct Parameters {
  rows: u32, // B T
  queryHeads: u32, // Hq
  keyValueHeads: u32, // Hkv
  columns: u32, // D / 4
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> projections: array<vec4f>; // [B T, (Hq + 2 Hkv) D]
@group(0) @binding(2) var<storage, read> queryGain: array<vec4f>; // [D]
@group(0) @binding(3) var<storage, read> keyGain: array<vec4f>; // [D]

struct Head {
  valid: bool,
  normalized: bool, // whether this is a query or key head
  query: bool,
  start: u32, // the index of the head's first vec4f in the joint projection
  statistic: u32, // the head's index in inverseRms, [B T, Hq + Hkv], if it is normalized
}

fn headOf(index: u32) -> Head {
  let normalized = parameters.queryHeads + parameters.keyValueHeads;
  let heads = normalized + parameters.keyValueHeads;
  let row = index / heads;
  let head = index % heads;
  return Head(
    row < parameters.rows,
    head < normalized,
    head < parameters.queryHeads,
    index * parameters.columns,
    row * normalized + min(head, normalized - 1u));
}

fn gainOf(head: Head, column: u32) -> vec4f {
  return select(keyGain[column], queryGain[column], head.query);
}
