/** The pictures of sinks and gradient sinks, in one place: rows from measurements in, pictures out. */
export { branchPlot, type BranchPlotOptions } from "./branch_plot.ts";
export { layerNormPlot, type LayerNormPlotOptions } from "./layer_plot.ts";
export { pathGradientPlot } from "./path_plot.ts";
export { type SinkPlotOptions, standalonePicture } from "../plot_parts.ts";
export * from "./plot_rows.ts";
export { slackPlot } from "./slack_plot.ts";
export { type GradientViolinOptions, gradientViolinPlot } from "./violin_plot.ts";
