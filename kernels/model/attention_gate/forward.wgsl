// Gated attention, forward: output = σ(x) input, with σ the logistic function. A gate with logit x
// multiplies a head of D numbers, or one number. Needs rows/element_*.wgsl, model/sigmoid.wgsl and
// model/attention_gate/opening.wgsl in front.
//
// One invocation per element, 64 per workgroup, spread over x and y. No barriers.
//
// Source: Qiu et al., NeurIPS 2025.

struct Parameters {
  gates: u32, // in all rows together
  elements: u32, // per gate
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<Element>; // [gates, elements]
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [gates]
@group(0) @binding(3) var<storage, read_write> output: array<Element>; // [gates, elements]
@group(0) @binding(4) var<storage, read_write> openings: array<f32>; // [gates]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let i = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (i >= parameters.gates * parameters.elements) {
    return;
  }
  let gate = i / parameters.elements;
  let opening = openingOf(logits[gate]);
  output[i] = opening * input[i];
  if (i % parameters.elements == 0u) {
    openings[gate] = elementNumber(opening, 0u);
  }
}
