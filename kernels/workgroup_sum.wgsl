// A sum over a workgroup of 64 invocations. Put this file in front of kernels that need it.
//
// After one barrier, an invocation adds the 64 numbers one after the other, so all invocations that
// add get the same bits. On CPU adapters, where a barrier costs hundreds of cycles, this is faster
// than a tree, which needs six barriers. A kernel that stores summands twice needs a barrier in
// between.
//
// If only one invocation needs the sum, call storeSummand in all and sumOfSummands in that one. A
// CPU then adds once instead of once per vector of invocations.

const LANES: u32 = 64u;

var<workgroup> summands: array<vec4f, LANES>;

fn storeSummand(summand: vec4f, lane: u32) {
  summands[lane] = summand;
  workgroupBarrier();
}

fn sumOfSummands() -> vec4f {
  var sum = vec4f(0.0);
  for (var l = 0u; l < LANES; l++) {
    sum += summands[l];
  }
  return sum;
}

fn workgroupSum(summand: vec4f, lane: u32) -> vec4f {
  storeSummand(summand, lane);
  return sumOfSummands();
}
