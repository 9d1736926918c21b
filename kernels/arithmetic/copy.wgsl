// Copies consecutive elements from one tensor to another.
//
// One invocation per element, 64 per workgroup, spread over x and y. No barriers.

struct Parameters {
  elements: u32,
  sourceStart: u32,
  copiedStart: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> copied: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (i < parameters.elements) {
    copied[parameters.copiedStart + i] = source[parameters.sourceStart + i];
  }
}
