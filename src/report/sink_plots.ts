/** The pictures of sinks and gradient sinks, in one place: rows from measurements in, pictures out. */
export { branchPlot, type BranchPlotOptions } from "./sink_branch_plot.ts";
export { layerNormPlot, type LayerNormPlotOptions } from "./sink_layer_plot.ts";
export { pathGradientPlot } from "./sink_path_plot.ts";
export { type SinkPlotOptions, standalonePicture } from "./sink_plot_parts.ts";
export * from "./sink_plot_rows.ts";
export { slackPlot } from "./sink_slack_plot.ts";
export { type GradientViolinOptions, gradientViolinPlot } from "./sink_violin_plot.ts";
