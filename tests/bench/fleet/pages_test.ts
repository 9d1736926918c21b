import config from "../../../deno.json" with { type: "json" };
import { parseWorkflow } from "./workflow.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read");

const path = new URL("../../../.github/workflows/pages.yml", import.meta.url);

test("pages.yml publishes the result of page:build, with the least rights", async () => {
  const workflow = parseWorkflow(await Deno.readTextFile(path));
  assertEquals(workflow.permissions, { contents: "read" });
  const { build, publish } = workflow.jobs;
  for (const { uses, with: inputs } of [...build!.steps, ...publish!.steps]) {
    if (uses === undefined) continue;
    assert(/^(actions|denoland)\/[a-z-]+@v\d+$/.test(uses), `${uses} is not pinned by major`);
    if (uses.startsWith("actions/checkout")) assertEquals(inputs?.["persist-credentials"], false);
  }
  // The job that runs the project's code cannot publish, and the job that publishes runs none of
  // it.
  assertEquals(build!.permissions, undefined);
  assertEquals(publish!.permissions, { "pages": "write", "id-token": "write" });
  assert(publish!.steps.every(({ run }) => run === undefined), "publishing runs nothing");
  assertEquals(publish!.needs, "build");
  const commands = build!.steps.flatMap(({ run }) => run ?? []);
  assertEquals(commands, ["deno task page:build"]);
  assert("page:build" in config.tasks, "there is such a task");
  const upload = build!.steps.find(({ uses }) => uses?.startsWith("actions/upload-pages-artifact"));
  assertEquals(upload?.with?.path, "bench/browser/dist");
});
