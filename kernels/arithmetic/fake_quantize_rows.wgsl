// Rounds every row of a matrix to INT8's numbers from −127 to 127, with a separate scale per row,
// in float32:
//
//   output = s clamp(round(x / s), −127, 127)    s = max |x| / 127
//
// Needs arithmetic/quantized.wgsl in front. One workgroup per row; each of its 64 invocations takes
// every 64th column. One barrier.

const LANES: u32 = 64u;

struct Parameters {
  rows: u32,
  columns: u32, // d
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>; // [rows, d]
@group(0) @binding(2) var<storage, read_write> output: array<f32>; // [rows, d]

var<workgroup> maxima: array<f32, LANES>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let row = workgroup.y * workgroups.x + workgroup.x;
  if (row >= parameters.rows) {
    return;
  }
  let first = row * parameters.columns;
  var maximum = 0.0;
  for (var c = lane.x; c < parameters.columns; c += LANES) {
    maximum = max(maximum, abs(input[first + c]));
  }
  maxima[lane.x] = maximum;
  workgroupBarrier();
  for (var l = 0u; l < LANES; l++) {
    maximum = max(maximum, maxima[l]);
  }
  let steps = stepsOf(maximum);
  for (var c = lane.x; c < parameters.columns; c += LANES) {
    output[first + c] = quantized(input[first + c], steps);
  }
}
