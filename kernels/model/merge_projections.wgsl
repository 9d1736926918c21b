// Joins the gradients of query, key and value into the gradient of their joint projection. It
// multiplies the gradients of query and key by RoPE's transposed rotations. Those equal the inverse
// rotations, so the kernel also undoes model/split_projections.wgsl. Needs model/projections.wgsl
// in front.
//
//   projections[b][t][h] = R_tᵀ input[b][h][t]    R_tᵀ (x, y) = (x cos + y sin, y cos − x sin)
//
// One invocation per 2 or 4 pairs of columns (i, i + D/2): as many as an Element has components.
// 64 invocations per workgroup, spread over x and y. No barriers.

@group(0) @binding(2) var<storage, read> query: array<Element>; // [B, Hq, T, D]
@group(0) @binding(3) var<storage, read> key: array<Element>; // [B, Hkv, T, D]
@group(0) @binding(4) var<storage, read> value: array<Element>; // [B, Hkv, T, D]
@group(0) @binding(5) var<storage, read_write> projections: array<Element>; // [B, T, (Hq + 2 Hkv) D]

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
  var x: Element;
  var y: Element;
  if (place.part == QUERY) {
    x = query[place.own];
    y = query[place.own + parameters.elements];
  } else if (place.part == KEY) {
    x = key[place.own];
    y = key[place.own + parameters.elements];
  } else {
    x = value[place.own];
    y = value[place.own + parameters.elements];
  }
  projections[place.joint] = x * place.cosine + y * place.sine;
  projections[place.joint + parameters.elements] = y * place.cosine - x * place.sine;
}
