/**
 * Draws the pictures of a comparison and of the theory. `plot_test.ts` runs this program twice:
 * with Observable Plot, and with the page's stand-in for that library.
 */
import { compareResultFiles } from "../../../src/measure/comparison.ts";
import { parseResultFile } from "../../../src/measure/result_file/parse.ts";
import { barPlot } from "../../../src/report/comparison/bar_plot.ts";
import { changePlot } from "../../../src/report/comparison/change_plot.ts";
import { distributionPlot } from "../../../src/report/comparison/distribution_plot.ts";
import { operatorGroups } from "../../../src/report/plot.ts";
import { rooflinePlot, runRooflinePlot } from "../../../src/report/comparison/roofline_plot.ts";
import { createSvgDocument } from "../../../src/report/svg_document.ts";

const fixtures = new URL("../../../fixtures/", import.meta.url);
const results = ["lavapipe-deno", "swiftshader-deno", "swiftshader-dawn"].map((name) => {
  const text = Deno.readTextFileSync(new URL(`${name}.json`, fixtures));
  return { name, file: parseResultFile(text, name) };
});
const document = createSvgDocument();
const text = { id: "a", title: "a title", description: "a description" };
const pictures: Record<string, string | undefined> = {};
for (const machines of [2, 3]) {
  const comparison = compareResultFiles(results.slice(0, machines));
  for (const width of [390, 1150]) {
    const options = { document, width, text };
    if (machines === 2) pictures[`changes ${width}`] = changePlot(comparison, options)?.text;
    pictures[`roofline ${machines} ${width}`] = rooflinePlot(comparison, options)?.text;
  }
  for (const group of operatorGroups(comparison).slice(0, 4)) {
    const name = `${machines} ${group.kernel} ${group.pass}`;
    pictures[`bars ${name}`] = barPlot(comparison, group, { document, text })?.text;
    const found = distributionPlot(comparison, group, { document, text });
    pictures[`samples ${name}`] = found?.picture.text;
  }
}
pictures["a run's roofline"] = runRooflinePlot(results[0]!.file, { document, width: 700, text })
  ?.text;
console.log(JSON.stringify(pictures));
