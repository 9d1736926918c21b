// A learned sink in attention's forward kernels: an extra logit s per query head, without a value.
// Put this file in front of them.
//
//   a_tj = exp(z_tj) / (exp(s) + sum_{i<=t} exp(z_ti))
//   logSumExp_t = log(exp(s) + sum_{j<=t} exp(z_tj))
//
// A row's running softmax begins with the sink: with s as its maximum, and 1 = exp(s - s) as its
// sum.
//
// s = -Infinity means no sink. With s = +Infinity or NaN all results of the head are NaN, because
// exp(s - s) has no value.
//
// Source: OpenAI, arXiv 2508.10925 (gpt-oss).

const LARGEST: f32 = 3.4e38;
const LARGEST_TO_BASE_2: f32 = 2.3e38; // times log2(e), a larger number may overflow
const SINK_LOG2_E: f32 = 1.4426950408889634;
const SINK_LN_2: f32 = 0.6931471805599453;

@group(0) @binding(7) var<storage, read> sinkLogit: array<f32>; // [Hq]

// s, with infinities replaced by finite numbers.
fn firstMaximum(head: u32) -> f32 {
  return clamp(sinkLogit[head], -LARGEST, LARGEST);
}

// `firstMaximum` in base 2: s times log2(e).
fn firstMaximum2(head: u32) -> f32 {
  return SINK_LOG2_E * clamp(sinkLogit[head], -LARGEST_TO_BASE_2, LARGEST_TO_BASE_2);
}

// 1, or NaN if s is NaN or +Infinity.
fn firstSum(head: u32) -> f32 {
  let bits = bitcast<u32>(sinkLogit[head]);
  let isLost = bits == 0x7f800000u || (bits & 0x7fffffffu) > 0x7f800000u;
  return bitcast<f32>(select(0x3f800000u, 0x7fc00000u, isLost));
}

// Computes logSumExp from a maximum and the logarithm of a sum, both in base 2. If the maximum is
// the sink's, the function takes s itself, because s times log2(e) may be too large for f32.
fn sinkLogSumExp(maximum: f32, logarithm: f32, head: u32) -> f32 {
  if (maximum == firstMaximum2(head)) {
    return firstMaximum(head) + logarithm * SINK_LN_2;
  }
  return (maximum + logarithm) * SINK_LN_2;
}
