import { fileURLToPath } from "node:url";
import { share } from "../../src/cli/share.ts";
import lavapipe from "../../fixtures/lavapipe-deno.json" with { type: "text" };
import { assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { inFolder } from "../support/folder.ts";
import { testWith } from "../support/permitted.ts";
import { recordOutput } from "./record_output.ts";

const repository = "https://github.com/o/r";
const now = Date.parse("2027-01-15T12:00:00Z");
const fixture = fileURLToPath(new URL("../../fixtures/lavapipe-deno.json", import.meta.url));

testWith("read")("deno task share prints a link for a file, and sends nothing", async () => {
  const recorded = recordOutput();
  assertEquals(await share([fixture], recorded, { repository, now }), 0, recorded.texts.err);
  const { out } = recorded.texts;
  assertStringIncludes(
    out,
    "https://github.com/o/r/new/main?filename=fixtures%2Flavapipe-deno.json",
  );
  assertStringIncludes(out, "Nothing has been sent");
});

testWith("read", "write")("deno task share refuses unacceptable files", async () => {
  await inFolder(async (folder) => {
    const refused = async (change: (file: Record<string, unknown>) => void, message: string) => {
      const file = JSON.parse(lavapipe) as Record<string, unknown>;
      change(file);
      const path = `${folder}/a.json`;
      await Deno.writeTextFile(path, JSON.stringify(file));
      const recorded = recordOutput();
      assertEquals(await share([path], recorded, { repository, now }), 1);
      assertStringIncludes(recorded.texts.err, message);
      assertEquals(recorded.texts.out, "");
    };
    await refused((file) => file.status = "incomplete", "deno task bench --resume=");
    await refused(
      (file) => (file.suite as Record<string, unknown>).commit = null,
      "which kernels ran is not known",
    );
    await refused((file) => delete file.adapter, "adapter");
  });
});

Deno.test("deno task share requires one file and a repository", async () => {
  const cases: [string[], string | undefined, string][] = [
    [[], repository, "no result file is given"],
    [["a", "b"], repository, 'unexpected "b"'],
    [["a"], "nowhere", 'the repository is "nowhere"'],
  ];
  for (const [args, given, message] of cases) {
    const recorded = recordOutput();
    assertEquals(await share(args, recorded, { repository: given, now }), 2);
    assertStringIncludes(recorded.texts.err, message);
  }
});
