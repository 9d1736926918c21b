// For many rows: reads the statistics of a query row for attention/sink/backward.wgsl. Earlier
// kernels computed them with many workgroups.

struct Parameters {
  batches: u32, // B
  queryHeads: u32, // Hq
  sequenceLength: u32, // T
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> sinkLogit: array<f32>; // [Hq]
@group(0) @binding(2) var<storage, read> rowStatistics: array<vec2f>; // [B, Hq, T]
@group(0) @binding(3) var<storage, read_write> sinkLogitGradient: array<f32>; // [Hq]

// Returns (logSumExp_t, D_t - l_t) of row t, with D_t = <g_t, y_t>, g the gradient of the output y,
// and l the gradient of logSumExp.
fn statisticsOf(row: u32) -> vec2f {
  return rowStatistics[row];
}
