// Copies the matrices of a batch into rows whose length is a multiple of four, for the kernels of the matrix product
// that read four numbers at a time. What is added in the direction of K is zero; in the other direction it
// repeats the last number, so that what is computed from it is as finite as that.
//
// One invocation a vec4f of the copy, 64 a workgroup, spread over x and y. No barriers.

struct Parameters {
  batches: u32,
  rows: u32, // of the matrix as it is stored
  columns: u32,
  paddedRows: u32,
  vectors: u32, // of four numbers, in a row of the copy
  innerIsColumn: u32, // 1 if K runs along a row, 0 if down the rows
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> matrix: array<f32>; // [batches, rows, columns]
@group(0) @binding(2) var<storage, read_write> padded: array<vec4f>; // [batches, paddedRows, vectors]

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let index = (workgroup.y * workgroups.x + workgroup.x) * 64u + lane.x;
  if (index >= parameters.batches * parameters.paddedRows * parameters.vectors) {
    return;
  }
  let row = (index / parameters.vectors) % parameters.paddedRows;
  let batch = index / parameters.vectors / parameters.paddedRows;
  let start = (batch * parameters.rows + min(row, parameters.rows - 1u)) * parameters.columns;
  let column = 4u * (index % parameters.vectors) + vec4u(0u, 1u, 2u, 3u);
  let place = start + min(column, vec4u(parameters.columns - 1u));
  let numbers = vec4f(matrix[place.x], matrix[place.y], matrix[place.z], matrix[place.w]);
  let past = select(
    vec4<bool>(row >= parameters.rows), column >= vec4u(parameters.columns), parameters.innerIsColumn == 1u);
  padded[index] = select(numbers, vec4f(0.0), past);
}
