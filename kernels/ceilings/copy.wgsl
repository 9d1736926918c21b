// The memory ceiling:  copied[i] = source[i]  for every element, each read once and written once.
//
// One invocation copies `run` elements, `stride` apart. Contiguous elements per invocation (stride
// 1) suit a CPU adapter, where lanes are iterations of a loop. Neighboring invocations on
// neighboring elements (stride = invocations) suit a GPU, which coalesces loads. Dispatch (x, y)
// workgroups of 64 with rowSize = 64 x and 64 · x · y · run = elements. No barriers.

alias Element = vec4u;

struct Parameters {
  run: u32,
  stride: u32,
  start: u32, // invocation n begins with element n · start
  rowSize: u32, // invocations in x
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> source: array<Element>;
@group(0) @binding(2) var<storage, read_write> copied: array<Element>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) invocation: vec3u) {
  var i = (invocation.y * parameters.rowSize + invocation.x) * parameters.start;
  for (var k = 0u; k < parameters.run; k++) {
    copied[i] = source[i];
    i += parameters.stride;
  }
}
