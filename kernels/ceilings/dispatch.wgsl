// The least work a dispatch can do: runs[0] = runs[0] + 1. Its time is the overhead of a dispatch;
// the counter shows that every dispatch ran.
//
// One invocation; dispatch (1). No barriers, no atomics: the dispatches of a pass run in order.

@group(0) @binding(1) var<storage, read_write> runs: array<u32>; // [1]
@group(0) @binding(0) var<uniform> step: u32; // 1

@compute @workgroup_size(1)
fn main() {
  runs[0] += step;
}
