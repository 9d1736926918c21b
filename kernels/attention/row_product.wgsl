// The inner product D_t = <g_t, y_t> of one query row, with g the gradient of the output y. Put
// this file in front of the kernels that compute the rows' statistics.

@group(0) @binding(1) var<storage, read> output: array<vec4f>; // [B, Hq, T, D]
@group(0) @binding(2) var<storage, read> outputGradient: array<vec4f>; // [B, Hq, T, D]

// vectors: D / 4. The terms are added in the same order as those of <g_t, v_j> in
// attention/backward_query.wgsl. So if y_0 = v_0, the two products have the same bits, and dq_0 is
// zero, as in exact arithmetic.
fn rowProduct(row: u32, vectors: u32) -> f32 {
  var product = vec4f(0.0);
  for (var c = 0u; c < vectors; c++) {
    let i = row * vectors + c;
    product += transpose(mat4x4f(output[i], vec4f(), vec4f(), vec4f())) * outputGradient[i];
  }
  return product.x;
}
