// How attention/forward.wgsl begins a row's softmax where a head has no learned sink: without
// weight. attention/sink/forward.wgsl takes the place of this file where it has one.

fn firstMaximum(head: u32) -> f32 {
  return -3.4e38; // finite: a shader compiler may assume that there are no infinities
}

fn firstSum(head: u32) -> f32 {
  return 0.0;
}
