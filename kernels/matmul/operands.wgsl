// Shared by the matrix product's kernels. Put this file in front of each.
//
//   product[b][m][n] = sum_k left[b](m, k) right[b](k, n)
//
// Operands are read with strides, counted in elements, so one kernel serves all four
// transpositions: a matrix stored [M, K] has row stride K and inner stride 1, one stored [K, M] has
// row stride 1 and inner stride M. A batch stride of 0 lets all batches read the same matrix.
//
// The product is stored [B, M, N], row-major: row stride N, column stride 1. A kernel may compute
// the transposed product from exchanged operands, if its tiles fit that better; it then writes with
// exchanged strides.
//
// A kernel that reads an operand four numbers at a time makes the operand's alias a vec4f; its
// strides then count vec4f. A kernel that writes four numbers at a time makes Stored a vec4f.

alias Left = f32;
alias Right = f32;
alias Stored = f32;

struct Parameters {
  rows: u32, // M
  columns: u32, // N
  inner: u32, // K
  batches: u32, // B
  leftRow: u32,
  leftInner: u32,
  leftBatch: u32,
  rightInner: u32,
  rightColumn: u32,
  rightBatch: u32,
  productRow: u32,
  productColumn: u32,
  productBatch: u32,
  firstColumn: u32, // of the computed part of the product, which ends at `columns`
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> left: array<Left>;
@group(0) @binding(2) var<storage, read> right: array<Right>;
@group(0) @binding(3) var<storage, read_write> product: array<Stored>; // [B, M, N]

// The start of a workgroup's tile in the product. Tiles are numbered from left to right, then row
// of tiles by row of tiles, then batch by batch. Workgroups past the last tile have batch >= B and
// nothing to do.
struct Tile {
  row: u32,
  column: u32,
  batch: u32,
}

fn tileOf(workgroup: vec3u, workgroups: vec3u, size: vec2u) -> Tile {
  let index = workgroup.y * workgroups.x + workgroup.x;
  let tilesDown = (parameters.rows + size.x - 1u) / size.x;
  let tilesAcross = (parameters.columns - parameters.firstColumn + size.y - 1u) / size.y;
  let rowOfTiles = index / tilesAcross;
  return Tile(
    (rowOfTiles % tilesDown) * size.x,
    parameters.firstColumn + (index % tilesAcross) * size.y,
    rowOfTiles / tilesDown);
}
