// Heads without a learned sink: a row's softmax in attention/forward.wgsl begins with an empty sum.
// For heads with a sink, attention/sink/forward.wgsl replaces this file.

fn firstMaximum(head: u32) -> f32 {
  return -3.4e38; // finite, because compilers may assume that there are no infinities
}

fn firstSum(head: u32) -> f32 {
  return 0.0;
}
