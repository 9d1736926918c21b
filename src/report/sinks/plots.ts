/** The pictures of sinks and gradient sinks that are drawn from rows, and what makes the rows. */
export { branchPlot } from "./branch_plot.ts";
export { layerNormPlot } from "./layer_plot.ts";
export { pathGradientPlot } from "./path_plot.ts";
export * from "./plot_rows.ts";
export { slackPlot } from "./slack_plot.ts";
export { gradientViolinPlot } from "./violin_plot.ts";
