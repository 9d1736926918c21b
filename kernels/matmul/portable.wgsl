// Matrix product. Needs matmul/operands.wgsl in front, which defines the product.
//
// One workgroup computes a 64x64 tile of the product and walks K in steps of 16. Each step it
// copies 64x16 numbers of the left operand and 16x64 of the right one to workgroup memory, as vec4f
// of four rows or four columns at one k. Invocation (x, y) owns the 4x4 block of rows 4x..4x+3 and
// columns 4y..4y+3, in a mat4x4f whose columns are the block's columns. Every k adds an outer
// product to it.
//
// There are two barriers per step. The first waits until all invocations have written their copies.
// The second keeps the next step from overwriting numbers that a slower invocation still reads.
//
// Rows, columns and k past the end of an operand read its last ones, so no address is out of range.
// A k past the end is never multiplied, and rows and columns past the end only affect numbers of a
// block that are not written. So a NaN or an infinity stays in its row and its column of the
// product.
//
// Source: Volkov and Demmel, "Benchmarking GPUs to tune dense linear algebra", SC 2008 (blocks in
// registers over tiles in shared memory).

const STEP: u32 = 16u; // how many k a workgroup copies at once
const BLOCKS: u32 = 16u; // 4x4 blocks along either side of a tile
const PITCH: u32 = 17u; // BLOCKS + 1, so neighbors in k use different banks
const FOUR: vec4u = vec4u(0u, 1u, 2u, 3u);

var<workgroup> leftTile: array<vec4f, STEP * PITCH>; // [k][x] of four rows
var<workgroup> rightTile: array<vec4f, STEP * PITCH>; // [k][y] of four columns

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let tile = tileOf(workgroup, workgroups, vec2u(4u * BLOCKS));
  if (tile.batch >= parameters.batches) {
    return;
  }

  // Which vec4f of each operand this invocation copies in a step: (x, y) is block x at the step's k
  // number y. Neighboring invocations read neighboring numbers in memory.
  let leftPlace = select(
    vec2u(index / STEP, index % STEP), vec2u(index % BLOCKS, index / BLOCKS), parameters.leftRow == 1u);
  let rightPlace = select(
    vec2u(index / STEP, index % STEP), vec2u(index % BLOCKS, index / BLOCKS), parameters.rightColumn == 1u);
  let leftRows = min(tile.row + 4u * leftPlace.x + FOUR, vec4u(parameters.rows - 1u));
  let rightColumns = min(tile.column + 4u * rightPlace.x + FOUR, vec4u(parameters.columns - 1u));
  let leftStart = tile.batch * parameters.leftBatch + leftRows * parameters.leftRow;
  let rightStart = tile.batch * parameters.rightBatch + rightColumns * parameters.rightColumn;

  var block = mat4x4f();
  for (var first = 0u; first < parameters.inner; first += STEP) {
    let leftK = min(first + leftPlace.y, parameters.inner - 1u);
    let l = leftStart + leftK * parameters.leftInner;
    leftTile[leftPlace.y * PITCH + leftPlace.x] = vec4f(left[l.x], left[l.y], left[l.z], left[l.w]);
    let rightK = min(first + rightPlace.y, parameters.inner - 1u);
    let r = rightStart + rightK * parameters.rightInner;
    rightTile[rightPlace.y * PITCH + rightPlace.x] = vec4f(right[r.x], right[r.y], right[r.z], right[r.w]);
    workgroupBarrier();

    let steps = min(STEP, parameters.inner - first);
    for (var k = 0u; k < steps; k++) {
      let rows = leftTile[k * PITCH + lane.x];
      let columns = rightTile[k * PITCH + lane.y];
      block += mat4x4f(columns.x * rows, columns.y * rows, columns.z * rows, columns.w * rows);
    }
    workgroupBarrier();
  }

  let row = tile.row + 4u * lane.x;
  let column = tile.column + 4u * lane.y;
  for (var i = 0u; i < 4u; i++) {
    for (var j = 0u; j < 4u; j++) {
      if (row + i < parameters.rows && column + j < parameters.columns) {
        product[(tile.batch * parameters.rows + row + i) * parameters.columns + column + j] = block[j][i];
      }
    }
  }
}
