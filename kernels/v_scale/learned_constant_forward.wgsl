// V-scale's learned constant:  C = base e^θ, with one θ and one C per value head.
//
// One invocation per head, 64 per workgroup; dispatch (ceil(Hkv / 64)). No barriers.
//
// Source: Chen, Lin, Yao, arXiv 2603.17771.

struct Parameters {
  heads: u32, // Hkv
  base: f32, // C at θ = 0
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> theta: array<f32>; // [Hkv]
@group(0) @binding(2) var<storage, read_write> constant: array<f32>; // [Hkv]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
  let head = invocation.x;
  if (head >= parameters.heads) {
    return;
  }
  constant[head] = parameters.base * exp(theta[head]);
}
