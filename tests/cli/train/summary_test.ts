/** The last lines of `deno task train` agree with the README. */
import { formatSummary } from "../../../src/cli/train/summary.ts";
import { presetSettings } from "../../../src/experiments/run/presets.ts";
import { type RunResult, trainRun } from "../../../src/experiments/run.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { inFolder } from "../../support/folder.ts";
import { testWith } from "../../support/permitted.ts";

const root = new URL("../../../", import.meta.url);

testWith("read")("the README shows the last lines that deno task train prints", async () => {
  const text = await Deno.readTextFile(new URL("fixtures/sinks/showcase.json", root));
  const stored = JSON.parse(text) as RunResult;
  // If the preset changes, the stored run must be made again.
  assertEquals(stored.settings, presetSettings("smoke"));
  const printed = formatSummary(stored, { color: false }).split("\n");
  const table = printed.slice(printed.findIndex((line) => line.startsWith("layer"))).join("\n");
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const plain = (each: string) => each.split("\n").map((line) => line.trimEnd()).join("\n").trim();
  assertStringIncludes(plain(readme), plain(table));
});

const permitted = await Promise.all(
  (["env", "read", "write"] as const).map((name) => Deno.permissions.query({ name })),
);
const wanted = permitted.every(({ state }) => state === "granted") &&
  Deno.env.get("GRADSINK_TEST_SHOWCASE") === "1";

Deno.test({
  name: "deno task train finds what the README says" +
    (wanted ? "" : " [needs GRADSINK_TEST_SHOWCASE=1 and a minute]"),
  ignore: !wanted,
  fn: () =>
    inFolder(async (folder) => {
      const settings = presetSettings("smoke");
      const { measurement } = await trainRun({
        folder: `${folder}/run`,
        settings,
        resume: "never",
      });
      const { attention, output } = measurement!.layers[1]!;
      // Three seeds in two runtimes gave scores from 0.91 to 1.00, gradient ratios from 26 to 44,
      // and output ratios from 1.8 to 2.8.
      assert(attention!.heads[0]!.idleScore! > 0.8, "a sink");
      assert(attention!.gradientSink.ratio! > 10, "a gradient sink");
      assert(attention!.value.ratio! < 0.25, "drained values");
      assert(output.ratio! > 1.5 && output.sink > 300, "a massive norm");
    }),
});
