// Catches adapters that miscompute. Each of 64 invocations writes three numbers:
//
//   result[lane]        how many iterations two nested loops made: 300 * 250 = 75,000. Mesa's
//                       lavapipe 22.3 gives all loops of an invocation together 65,535 iterations,
//                       and then leaves the loops silently.
//   result[64 + lane]   64 + lane, after 64 rounds in which each lane takes its neighbor's number
//                       from workgroup memory and adds 1, with barriers
//   result[128 + lane]  1 if exp, sqrt and division are exact to 10⁻⁵, else 0

@group(0) @binding(0) var<storage, read_write> result: array<u32>; // [192], holding the loop bounds at 0 and 1

var<workgroup> ring: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  let outer = result[0];
  let inner = result[1];
  storageBarrier(); // all have read the bounds before they are overwritten
  var count = 0u;
  for (var i = 0u; i < outer; i++) {
    for (var j = 0u; j < inner; j++) {
      count += select(1u, 0u, i > 4096u + j); // uses i and j, so compilers cannot fold the loops
    }
  }
  result[lane] = count;

  ring[lane] = lane;
  workgroupBarrier();
  for (var round = 0u; round < 64u; round++) {
    let next = ring[(lane + 1u) % 64u] + 1u;
    workgroupBarrier();
    ring[lane] = next;
    workgroupBarrier();
  }
  result[64u + lane] = ring[lane];

  let x = f32(lane + outer) * 0.01; // 3.00 to 3.63
  let root = sqrt(x);
  let exponential = exp(x) * exp(-x);
  let quotient = (x / 7.0) * 7.0;
  let exact = abs(root * root - x) < 1e-5 * x && abs(exponential - 1.0) < 1e-5 && abs(quotient - x) < 1e-5 * x;
  result[128u + lane] = select(0u, 1u, exact);
}
