// The squares of a tensor's elements, summed in runs of consecutive elements: the first stage of a
// norm over many tensors. Needs workgroup_sum.wgsl and range.wgsl in front.
//
//   partial[start + run] = (sum over the run's elements of (s x)², s)
//
// s is 1 if the sum of squares is well within float32's range or all elements are zero. Otherwise
// the sum of the elements' magnitudes gives s, a power of two that brings the squares into range.
// The first invocation alone then adds the scaled squares.
//
// One workgroup per run; each of its 64 invocations adds every 64th element. Dispatch: (runs). One
// barrier, no atomics, so the order of the sum never changes. arithmetic/norm.wgsl adds the runs of
// all tensors.

struct Parameters {
  elements: u32,
  elementsPerRun: u32,
  start: u32, // the index of this tensor's first run in `partial`
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>; // [elements]
@group(0) @binding(2) var<storage, read_write> partial: array<vec2f>; // [runs of all tensors]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let first = workgroup.x * parameters.elementsPerRun;
  let end = min(first + parameters.elementsPerRun, parameters.elements);
  var sum = 0.0;
  var magnitude = 0.0;
  for (var i = first + lane.x; i < end; i += LANES) {
    sum += input[i] * input[i];
    magnitude += abs(input[i]);
  }
  storeSummand(vec4f(sum, magnitude, 0.0, 0.0), lane.x);
  if (lane.x == 0u) {
    let totals = sumOfSummands();
    var squares = totals.x;
    var scale = 1.0;
    // A sum between 2⁻⁸⁰ and 2¹²⁰ did not overflow, and no square that matters to it underflowed.
    if (totals.y != 0.0 && !(squares > 8.271806e-25 && squares < 1.329228e36)) {
      // If the sum of magnitudes overflows too, 2⁻¹²⁶ scales all elements to below 4.
      scale = select(powerScale(totals.y), 1.1754944e-38, isNotFinite(totals.y));
      squares = 0.0;
      for (var i = first; i < end; i++) {
        let x = scale * input[i];
        squares += x * x;
      }
    }
    partial[parameters.start + workgroup.x] = vec2f(squares, scale);
  }
}
