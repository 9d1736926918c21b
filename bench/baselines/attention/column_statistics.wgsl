// Naive attention-sink statistics: sums over one column of the weights matrix. LANES and
// workgroupSum come from workgroup_sum.wgsl, which is put before this text.
//
//   mass = sum_{t>=s} a_ts        secondMoment = sum_{t>=s} a_ts²
//   score = mean of a_ts over s <= t < windowEnd
//
// One workgroup per head; each of its 64 invocations adds up every 64th row. One barrier.

struct Parameters {
  sequenceLength: u32, // T
  position: u32, // s
  windowEnd: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> weights: array<f32>; // [B, Hq, T, T]
@group(0) @binding(2) var<storage, read_write> mass: array<f32>; // [B, Hq]
@group(0) @binding(3) var<storage, read_write> secondMoment: array<f32>; // [B, Hq]
@group(0) @binding(4) var<storage, read_write> score: array<f32>; // [B, Hq]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let head = workgroup.x;
  let length = parameters.sequenceLength;
  let s = parameters.position;
  var sums = vec4f(0.0);
  for (var t = s + lane.x; t < length; t += LANES) {
    let weight = weights[(head * length + t) * length + s];
    sums += vec4f(weight, weight * weight, select(0.0, weight, t < parameters.windowEnd), 0.0);
  }
  let total = workgroupSum(sums, lane.x);
  if (lane.x == 0u) {
    mass[head] = total.x;
    secondMoment[head] = total.y;
    score[head] = total.z / f32(parameters.windowEnd - s);
  }
}
