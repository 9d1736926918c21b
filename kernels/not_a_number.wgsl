// Passes NaN through functions that lose it: some drivers compute exp and log of a NaN as if it
// were a large number. Put this file in front of kernels that need it.
//
// It recognizes a NaN by its bits, because compilers may assume that x != x is false. It leaves
// infinities to the function.
fn passNotANumber(result: vec4f, argument: vec4f) -> vec4f {
  let isNotANumber = (bitcast<vec4u>(argument) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
  return select(result, argument, isNotANumber);
}

fn exponential(x: vec4f) -> vec4f {
  return passNotANumber(exp(x), x);
}

fn exponential2(x: vec4f) -> vec4f {
  return passNotANumber(exp2(x), x);
}
