// A sum over a workgroup of 64 invocations; put in front of the kernels that need one.
//
// One barrier, then every invocation adds the 64 numbers in the same order: the same bits
// everywhere, and on CPU adapters, where a barrier costs hundreds of cycles, faster than a tree.
// Calling it twice in a kernel needs a barrier of the caller's in between.

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
