// Splits attention's joint projection into query, key and value, head by head, and applies RoPE to
// query and key. Needs model/projections.wgsl in front.
//
//   output[b][h][t] = R_t projections[b][t][h]    R_t (x, y) = (x cos − y sin, x sin + y cos)
//
// One invocation per 2 or 4 pairs of columns (i, i + D/2): as many as an Element has components.
// 64 invocations per workgroup, spread over x and y. No barriers.

@group(0) @binding(2) var<storage, read> projections: array<Element>; // [B, T, (Hq + 2 Hkv) D]
@group(0) @binding(3) var<storage, read_write> query: array<Element>; // [B, Hq, T, D]
@group(0) @binding(4) var<storage, read_write> key: array<Element>; // [B, Hkv, T, D]
@group(0) @binding(5) var<storage, read_write> value: array<Element>; // [B, Hkv, T, D]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let place = placeOf((workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x);
  if (!place.valid) {
    return;
  }
  let x = projections[place.joint];
  let y = projections[place.joint + parameters.elements];
  let first = x * place.cosine - y * place.sine;
  let second = x * place.sine + y * place.cosine;
  if (place.part == QUERY) {
    query[place.own] = first;
    query[place.own + parameters.elements] = second;
  } else if (place.part == KEY) {
    key[place.own] = first;
    key[place.own + parameters.elements] = second;
  } else {
    value[place.own] = first;
    value[place.own + parameters.elements] = second;
  }
}
