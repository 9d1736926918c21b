// Copies one side of the matrix product, left or right, into a layout that can be read four numbers
// at a time: for each k, the numbers of all rows of left, or columns of right, are contiguous. Past
// the last row or column it repeats the last, which adds no new NaN or infinity.
//
// A workgroup is 16 invocations along the rows or columns. Its index y selects four k, its index z
// a batch. Every invocation copies a vec4f at each of the four k. Invocations past an end copy the
// last numbers again: on adapters that compute on the CPU, a loop, a condition or a division would
// cost more. No barriers.

struct Parameters {
  inner: u32, // K
  outer: u32, // M of left, N of right
  innerStride: u32, // of the stored matrix, counted in numbers
  outerStride: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> matrix: array<f32>; // [batches] of K · outer numbers
@group(0) @binding(2) var<storage, read_write> packed: array<vec4f>; // [batches, K, vectors]

fn copyAt(k: u32, first: u32, places: vec4u, to: u32, vectors: u32) {
  let row = min(k, parameters.inner - 1u);
  let place = first + row * parameters.innerStride + places;
  packed[to + row * vectors] = vec4f(matrix[place.x], matrix[place.y], matrix[place.z], matrix[place.w]);
}

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let vectors = (parameters.outer + 3u) / 4u;
  let vector = min(workgroup.x * 16u + lane.x, vectors - 1u);
  let outer = min(4u * vector + vec4u(0u, 1u, 2u, 3u), vec4u(parameters.outer - 1u));
  let first = workgroup.z * parameters.inner * parameters.outer;
  let places = outer * parameters.outerStride;
  let to = workgroup.z * parameters.inner * vectors + vector;
  copyAt(4u * workgroup.y, first, places, to, vectors);
  copyAt(4u * workgroup.y + 1u, first, places, to, vectors);
  copyAt(4u * workgroup.y + 2u, first, places, to, vectors);
  copyAt(4u * workgroup.y + 3u, first, places, to, vectors);
}
