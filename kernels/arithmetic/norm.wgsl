// The norm of all gradients together and the factor that clips them, from the sums of squares of
// arithmetic/sum_squares.wgsl. Needs workgroup_sum.wgsl and range.wgsl in front.
//
//   norm = √(Σ sum / s²) over the partial (sum, s)    factor = min(1, maximum / norm)
//
// Each pair belongs to a run of consecutive elements x: sum is Σ (s x)², and s is a power of two.
//
// If the norm is infinite, NaN or so large that the factor would be subnormal, the factor is NaN
// and arithmetic/adamw.wgsl changes nothing.
//
// One workgroup of 64 invocations, each adding every 64th sum. If a sum is scaled or the total may
// have overflowed, the first invocation alone adds all sums again. One barrier.
//
// Source: Pascanu, Mikolov, Bengio, arXiv 1211.5063.

struct Parameters {
  runs: u32,
  maximum: f32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> partial: array<vec2f>; // [runs] of (sum, s)
@group(0) @binding(2) var<storage, read_write> clipping: array<f32>; // norm, factor

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_id) lane: vec3u) {
  var sum = 0.0;
  var scaled = 0.0; // how many sums have a scale s other than 1
  for (var i = lane.x; i < parameters.runs; i += LANES) {
    sum += partial[i].x;
    scaled += select(0.0, 1.0, partial[i].y != 1.0);
  }
  storeSummand(vec4f(sum, scaled, 0.0, 0.0), lane.x);
  if (lane.x == 0u) {
    let totals = sumOfSummands();
    var norm = sqrt(totals.x);
    // The plain total is wrong if a sum has a scale other than 1. If the total is NaN or at least
    // 2¹²⁰, it may have overflowed.
    if (totals.y != 0.0 || !(totals.x < 1.329228e36)) {
      norm = scaledNorm();
    }
    let factor = select(1.0, parameters.maximum / norm, norm > parameters.maximum);
    clipping[0] = norm;
    clipping[1] = orNotANumber(factor, !isNotFinite(norm) && factor >= 1.1754944e-38);
  }
}

// Returns the norm after bringing all sums to the least of their scales, that of the largest
// elements. The factor 2⁻⁴⁰ on each sum keeps the total of many sums from overflowing. After the
// square root, the factor 2²⁰ undoes it.
fn scaledNorm() -> f32 {
  var least = 1.7014118e38; // 2¹²⁷, the largest scale
  for (var i = 0u; i < parameters.runs; i++) {
    least = select(least, min(least, partial[i].y), partial[i].x != 0.0);
  }
  var sum = 0.0;
  for (var i = 0u; i < parameters.runs; i++) {
    let ratio = least / partial[i].y;
    sum += partial[i].x * 9.094947e-13 * ratio * ratio;
  }
  return sqrt(sum) * 1048576.0 / least;
}
