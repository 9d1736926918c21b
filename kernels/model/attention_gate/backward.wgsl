// Gated attention, backward. g is the loss's gradient with respect to the output, x a gate's logit,
// and σ the logistic function:
//
//   inputGradient = σ(x) g    logitsGradient = σ(x) σ(−x) Σ g input,  over the gate's numbers
//
// σ(−x) equals 1 − σ(x), but the subtraction loses digits if σ(x) is near 1. Needs
// rows/element_*.wgsl, model/sigmoid.wgsl and model/attention_gate/opening.wgsl in front.
//
// One invocation per gate, 64 per workgroup, spread over x and y. No barriers.
//
// Source: Qiu et al., NeurIPS 2025.

struct Parameters {
  gates: u32, // in all rows together
  elements: u32, // per gate
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<Element>; // [gates, elements]
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [gates]
@group(0) @binding(3) var<storage, read> outputGradient: array<Element>; // [gates, elements]
@group(0) @binding(4) var<storage, read_write> inputGradient: array<Element>; // [gates, elements]
@group(0) @binding(5) var<storage, read_write> logitsGradient: array<f32>; // [gates]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let gate = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (gate >= parameters.gates) {
    return;
  }
  let opening = openingOf(logits[gate]);
  let slope = opening * openingOf(-logits[gate]);
  var products = Element(0.0);
  let start = gate * parameters.elements;
  for (var i = start; i < start + parameters.elements; i++) {
    let gradient = outputGradient[i];
    products += gradient * input[i];
    inputGradient[i] = opening * gradient;
  }
  logitsGradient[gate] = elementNumber(slope, 0u) * elementSum(products);
}
