// Shared by cross-entropy's forward kernels: reads a row of logits, four columns at a time. Needs
// not_a_number.wgsl in front.

const FOUR: vec4u = vec4u(0u, 1u, 2u, 3u);

struct Parameters {
  rows: u32,
  columns: u32, // the vocabulary's size V, or the size of a slice of the vocabulary
  first: u32, // the class of the first column
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> logits: array<f32>; // [rows, V]
@group(0) @binding(2) var<storage, read> classes: array<f32>; // [rows]: the targets, as integers
@group(0) @binding(3) var<storage, read_write> loss: array<f32>; // [rows]
@group(0) @binding(4) var<storage, read_write> logSumExp: array<f32>; // [rows]

// Four neighboring columns' logits, from `column` on. In place of a column past the last one, it
// reads the last one.
fn fourLogits(row: u32, column: u32) -> vec4f {
  let place = row * parameters.columns + min(column + FOUR, vec4u(parameters.columns - 1u));
  return vec4f(logits[place.x], logits[place.y], logits[place.z], logits[place.w]);
}

fn largest(x: vec4f) -> f32 {
  return max(max(x.x, x.y), max(x.z, x.w));
}

// The same columns' terms of the sum of exponentials; 0 for columns past the last one.
fn fourExponentials(row: u32, column: u32, maximum: f32) -> vec4f {
  let terms = exponential(fourLogits(row, column) - maximum);
  return select(vec4f(0.0), terms, column + FOUR < vec4u(parameters.columns));
}

fn writeRow(row: u32, maximum: f32, sum: f32) {
  let logarithm = passNotANumber(vec4f(log(sum)), vec4f(sum)).x;
  logSumExp[row] = maximum + logarithm;
  let own = u32(classes[row]) - parameters.first; // wraps around for targets below the first column
  let column = min(own, parameters.columns - 1u);
  let chosen = select(0.0, logits[row * parameters.columns + column], own == column);
  // `maximum` and `chosen` can both be large. The logarithm would lose digits if it were added to
  // one of them before they are subtracted.
  loss[row] = logarithm + (maximum - chosen);
}
