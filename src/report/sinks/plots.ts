/** Pictures of sinks and gradient sinks drawn from rows, and the functions that make the rows. */
export { branchPlot } from "./branch_plot.ts";
export { layerNormPlot } from "./layer_plot.ts";
export { pathGradientPlot } from "./path_plot.ts";
export * from "./plot_rows.ts";
export { slackPlot } from "./slack_plot.ts";
export { gradientViolinPlot } from "./violin_plot.ts";
