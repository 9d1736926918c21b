// Tests whether a workgroup has the invocations and the memory that the adapter claims. LANES
// invocations write WORDS different numbers, the multiples of an odd constant. Then each reads the
// numbers that its neighbor wrote, and sets result[lane] to 1 plus the count of wrong numbers. 0
// remains if an invocation does not run.

override LANES: u32 = 64u; // at most 256
override WORDS: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> result: array<u32>; // [256], zeros

var<workgroup> words: array<u32, WORDS>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  for (var i = lane; i < WORDS; i += LANES) {
    words[i] = i * 2654435769u;
  }
  workgroupBarrier();
  var lost = 0u;
  for (var i = (lane + 1u) % LANES; i < WORDS; i += LANES) {
    lost += select(1u, 0u, words[i] == i * 2654435769u);
  }
  result[lane] = 1u + lost;
}
