// Tests whether f16 in workgroup memory keeps its numbers: f32 numbers are stored as f16 and
// converted back to f32. One workgroup of 64 invocations.

@group(0) @binding(0) var<storage, read_write> result: array<u32>; // [256]; the first 64 hold float32 numbers

var<workgroup> halves: array<f16, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  halves[63u - lane] = f16(bitcast<f32>(result[63u - lane]));
  workgroupBarrier();
  let stored = f32(halves[lane]);
  storageBarrier(); // all have read the numbers before they are overwritten
  result[lane] = bitcast<u32>(stored);
}
