// AdamW, one step of one tensor, in place. With g the gradient times the clipping factor, η the
// learning rate, λ the weight decay:
//
//   m ← β₁ m + (1 − β₁) g    v ← β₂ v + (1 − β₂) g²
//   p ← p − η λ p − η (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)
//
// If the norm of the gradients or the clipping factor is not finite, nothing changes.
// If g² is too large for float32, p, m and v become NaN.
//
// Needs range.wgsl, and rows/element_vector.wgsl or rows/element_scalar.wgsl in front. One
// invocation per element, 64 per workgroup, spread over x and y. No barriers.
//
// Source: Loshchilov and Hutter, arXiv 1711.05101, with λ multiplied by η as PyTorch does.

struct Parameters {
  elements: u32,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  weightDecay: f32, // λ
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> step: array<f32>; // η, 1 / (1 − β₁ᵗ), 1 / (1 − β₂ᵗ)
@group(0) @binding(2) var<storage, read> clipping: array<f32>; // norm, factor
@group(0) @binding(3) var<storage, read> gradient: array<Element>; // [elements]
@group(0) @binding(4) var<storage, read_write> firstMoment: array<Element>; // [elements]: m
@group(0) @binding(5) var<storage, read_write> secondMoment: array<Element>; // [elements]: v
@group(0) @binding(6) var<storage, read_write> parameter: array<Element>; // [elements]: p

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (i >= parameters.elements || isNotFinite(clipping[0]) || isNotFinite(clipping[1])) {
    return;
  }
  let g = clipping[1] * gradient[i];
  let m = parameters.beta1 * firstMoment[i] + (1.0 - parameters.beta1) * g;
  let v = parameters.beta2 * secondMoment[i] + (1.0 - parameters.beta2) * (g * g);
  firstMoment[i] = whereFinite(m, v);
  secondMoment[i] = whereFinite(v, v);
  let rate = step[0];
  let update = (m * step[1]) / (sqrt(v * step[2]) + Element(parameters.epsilon));
  let p = parameter[i];
  parameter[i] = whereFinite(p - (rate * parameters.weightDecay) * p - rate * update, v);
}
