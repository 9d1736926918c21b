// RMSNorm of each query and key head of attention's joint projection:
//
//   output = gain ⊙ x inverseRms    inverseRms = 1 / √(mean(x²) + ε)
//
// Needs range.wgsl and model/head_norm/head.wgsl in front. One invocation per head's row, 64 per
// workgroup, spread over x and y. No barriers.

@group(0) @binding(4) var<storage, read_write> output: array<vec4f>; // of the projections' shape
@group(0) @binding(5) var<storage, read_write> inverseRms: array<f32>; // [B T, Hq + Hkv]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let head = headOf((workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x);
  if (!head.valid) {
    return;
  }
  if (!head.normalized) {
    for (var c = 0u; c < parameters.columns; c++) {
      output[head.start + c] = projections[head.start + c];
    }
    return;
  }
  var squares = vec4f(0.0);
  for (var c = 0u; c < parameters.columns; c++) {
    let x = projections[head.start + c];
    squares += x * x;
  }
  let sum = (squares.x + squares.y) + (squares.z + squares.w);
  let mean = sum / f32(4u * parameters.columns) + parameters.epsilon;
  var inverse = inverseSqrt(mean);
  // If the mean is below 2⁻¹⁰⁰ or above 10³⁸, float32 may not hold the squares. Scale the numbers
  // first, as in rms_norm/inverse.wgsl.
  if (!(mean >= 7.888609e-31 && mean <= 1e38)) {
    inverse = inverseOfScaledHead(head.start, mean < 1.0);
  }
  inverseRms[head.statistic] = inverse;
  for (var c = 0u; c < parameters.columns; c++) {
    output[head.start + c] = gainOf(head, c) * (projections[head.start + c] * inverse);
  }
}

// The head's inverseRms, from its numbers times 2¹⁰⁰ if they are small, else times 2⁻⁸⁰. It is NaN
// if the root mean square exceeds 2¹²⁶, because the inverse would be subnormal. With numbers times
// 2⁻⁸⁰, `root` is then above 2⁴⁶.
fn inverseOfScaledHead(start: u32, small: bool) -> f32 {
  let scale = select(8.271806e-25, 1.2676506e30, small);
  var squares = vec4f(0.0);
  for (var c = 0u; c < parameters.columns; c++) {
    let x = projections[start + c] * scale;
    squares += x * x;
  }
  let sum = (squares.x + squares.y) + (squares.z + squares.w);
  let root = sqrt(sum / f32(4u * parameters.columns) + parameters.epsilon * scale * scale);
  return orNotANumber(1.0 / root * scale, small || root <= 7.0368744e13);
}
