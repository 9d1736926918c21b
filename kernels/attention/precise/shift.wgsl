// Attention backward, precise form (src/ops/attention/precise.ts), first step. The forward adds up
// the values f_j v_j. From each of them, this kernel subtracts the value f_p v_p at position p of
// the same head.
//
//   shifted_j = f_j v_j - f_p v_p
//
// f_j = 1, or with V-scale "full" f_j = r_j / (r_j + C) with r_j = |v_j|². One invocation for each
// vec4f; 64 per workgroup. No barriers.

struct Parameters {
  count: u32, // of vec4f: B Hkv T D / 4
  vectors: u32, // D / 4
  sequenceLength: u32, // T
  position: u32, // p
  vScaleFull: u32, // 1: factors come from valve
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> value: array<vec4f>; // [B, Hkv, T, D]
@group(0) @binding(2) var<storage, read> valve: array<vec2f>; // [B, Hkv, T] of (r, C); read with V-scale "full" only
@group(0) @binding(3) var<storage, read_write> shifted: array<vec4f>; // [B, Hkv, T, D]

fn factorOf(row: u32) -> f32 {
  if (parameters.vScaleFull == 1u) {
    let v = valve[row];
    return v.x / (v.x + v.y);
  }
  return 1.0;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (i >= parameters.count) {
    return;
  }
  let row = i / parameters.vectors;
  let reference = row - row % parameters.sequenceLength + parameters.position;
  let taken = value[reference * parameters.vectors + i % parameters.vectors];
  shifted[i] = factorOf(row) * value[i] - factorOf(reference) * taken;
}
