// Begins a row's softmax in attention/forward.wgsl without weight, for heads without a learned
// sink. attention/sink/forward.wgsl replaces this file for heads with one.

fn firstMaximum(head: u32) -> f32 {
  return -3.4e38; // finite, because compilers may assume that there are no infinities
}

fn firstSum(head: u32) -> f32 {
  return 0.0;
}
