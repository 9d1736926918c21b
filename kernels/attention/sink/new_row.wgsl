// For few rows: computes the statistics of a query row for attention/sink/backward.wgsl, and stores
// them for the kernels that follow. This saves the dispatch of attention/backward_row.wgsl, which
// would take longer than these few sums. Needs attention/row_product.wgsl in front.

struct Parameters {
  batches: u32, // B
  queryHeads: u32, // Hq
  sequenceLength: u32, // T
  vectors: u32, // D / 4
  hasLogSumExpGradient: u32, // 0 or 1; if 0, l is 0
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(3) var<storage, read> logSumExp: array<f32>; // [B, Hq, T]
@group(0) @binding(4) var<storage, read_write> rowStatistics: array<vec2f>; // [B, Hq, T]
@group(0) @binding(5) var<storage, read> logSumExpGradient: array<f32>; // [B, Hq, T]
@group(0) @binding(6) var<storage, read> sinkLogit: array<f32>; // [Hq]
@group(0) @binding(7) var<storage, read_write> sinkLogitGradient: array<f32>; // [Hq]

// Returns and stores (logSumExp_t, D_t - l_t) of row t, with D_t = <g_t, y_t>, g the gradient of
// the output y, and l the gradient of logSumExp.
fn statisticsOf(row: u32) -> vec2f {
  var statistics = vec2f(logSumExp[row], rowProduct(row, parameters.vectors));
  if (parameters.hasLogSumExpGradient == 1u) {
    statistics.y -= logSumExpGradient[row];
  }
  rowStatistics[row] = statistics;
  return statistics;
}
