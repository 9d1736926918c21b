// Cross-entropy, backward. With z the logit of class v, and [v is the target] 1 or 0:
//
//   logitsGradient = factor (e^(z − logSumExp) − [v is the target])
//
// Needs not_a_number.wgsl in front.
//
// One invocation per four neighboring columns of a row, 64 per workgroup, spread over x and y. No
// barriers.

const FOUR: vec4u = vec4u(0u, 1u, 2u, 3u);

struct Parameters {
  rows: u32,
  columns: u32, // the vocabulary's size V, or the size of a slice of the vocabulary
  factor: f32,
  first: u32, // the class of the first column
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<f32>; // [rows, V]
@group(0) @binding(2) var<storage, read> classes: array<f32>; // [rows]: the targets, as integers
@group(0) @binding(3) var<storage, read> logSumExp: array<f32>; // [rows]
@group(0) @binding(4) var<storage, read_write> logitsGradient: array<f32>; // [rows, V]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  let quads = (parameters.columns + 3u) / 4u;
  if (index >= parameters.rows * quads) {
    return;
  }
  let row = index / quads;
  let first = row * parameters.columns;
  let columns = 4u * (index % quads) + FOUR;
  let place = first + min(columns, vec4u(parameters.columns - 1u));
  let z = vec4f(logits[place.x], logits[place.y], logits[place.z], logits[place.w]);
  let hit = parameters.first + columns == vec4u(u32(classes[row]));
  let gradient = parameters.factor
    * (exponential(z - logSumExp[row]) - select(vec4f(0.0), vec4f(1.0), hit));
  for (var i = 0u; i < 4u; i++) {
    if (columns[i] < parameters.columns) {
      logitsGradient[first + columns[i]] = gradient[i];
    }
  }
}
