// A sum over a workgroup of 64 invocations. Put this file in front of kernels that need it.
//
// After one barrier, every invocation adds the 64 numbers in the same order, so all get the same
// bits. On CPU adapters, where a barrier costs hundreds of cycles, this is faster than a tree,
// which needs six. A kernel that calls the function twice needs a barrier in between.

const LANES: u32 = 64u;

var<workgroup> summands: array<vec4f, LANES>;

fn workgroupSum(summand: vec4f, lane: u32) -> vec4f {
  summands[lane] = summand;
  workgroupBarrier();
  var sum = vec4f(0.0);
  for (var l = 0u; l < LANES; l++) {
    sum += summands[l];
  }
  return sum;
}
