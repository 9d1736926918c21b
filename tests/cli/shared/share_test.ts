import { bench } from "../../../src/cli/bench.ts";
import { checkRepository, shareLines } from "../../../src/cli/shared/share.ts";
import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "../../support/assert/assert.ts";
import { recordOutput } from "../record_output.ts";

Deno.test("--share is refused before any work if there is no repository", async () => {
  assertThrows(() => checkRepository(undefined), Error, "names no repository to share with");
  assertThrows(() => checkRepository("https://example.com/o/r"), Error, "in deno.json");
  const recorded = recordOutput();
  const code = await bench(["--share"], { output: recorded, repository: "nowhere" });
  assertEquals(code, 2);
  assertStringIncludes(recorded.texts.err, 'the repository is "nowhere"');
});

Deno.test("--share says where to send a result, and that nothing was sent", () => {
  const repository = "https://github.com/o/r";
  const short = shareLines(repository, { path: "results/a.json", text: "{}" });
  assertStringIncludes(short, "/o/r/new/main?filename=fixtures%2Fa.json&value=%7B%7D\n");
  const long = shareLines(repository, { path: "results/a.json", text: "x".repeat(50_000) });
  assertStringIncludes(long, "paste the content of results/a.json there");
  assert(!long.includes("&value="));
  for (const text of [short, long]) assertStringIncludes(text, "Nothing has been sent");
});
