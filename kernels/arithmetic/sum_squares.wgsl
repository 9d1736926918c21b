// The squares of a tensor's elements, summed in runs: the first stage of a norm over many tensors. Needs
// workgroup_sum.wgsl in front.
//
//   partial[start + run] = sum over the run's elements of  x²
//
// A workgroup of 64 invocations a run, each adding every 64th element of it; dispatch (runs). One barrier, no
// atomics: the order of the sum never changes. arithmetic/norm.wgsl adds the runs of all tensors.

struct Parameters {
  elements: u32,
  elementsPerRun: u32,
  start: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>; // [elements]
@group(0) @binding(2) var<storage, read_write> partial: array<f32>; // [start + runs …]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let first = workgroup.x * parameters.elementsPerRun;
  let end = min(first + parameters.elementsPerRun, parameters.elements);
  var sum = 0.0;
  for (var i = first + lane.x; i < end; i += LANES) {
    sum += input[i] * input[i];
  }
  let squares = workgroupSum(vec4f(sum), lane.x).x;
  if (lane.x == 0u) {
    partial[parameters.start + workgroup.x] = squares;
  }
}
