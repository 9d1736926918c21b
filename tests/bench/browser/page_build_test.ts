/** `deno task page:build`: its help and its command line. */
import { pageBuild } from "../../../bench/browser/page_build.ts";
import { assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { recordOutput } from "../../cli/record_output.ts";

// Runs the command with a build that only counts its calls.
async function run(...args: string[]) {
  const recorded = recordOutput();
  let builds = 0;
  const code = await pageBuild(args, recorded, () => {
    builds++;
    return Promise.resolve(123_456);
  });
  return { code, builds, ...recorded.texts };
}

Deno.test("deno task page:build builds the page, and says how large it is", async () => {
  assertEquals(await run(), {
    code: 0,
    builds: 1,
    out: "Built bench/browser/dist, with 123 kB of script\n",
    err: "",
  });
});

Deno.test("deno task page:build --help prints its help and builds nothing", async () => {
  for (const flag of ["--help", "-h"]) {
    const { code, builds, out, err } = await run(flag);
    assertEquals({ code, builds, err }, { code: 0, builds: 0, err: "" });
    for (const part of ["Usage: deno task page:build", "-h, --help", "Exit codes:"]) {
      assertStringIncludes(out, part);
    }
  }
});

Deno.test("deno task page:build refuses a wrong command line before it builds", async () => {
  for (const [word, message] of [["--out=x", 'unknown option "--out"'], ["x", 'unexpected "x"']]) {
    const { code, builds, err } = await run(word!);
    assertEquals({ code, builds }, { code: 2, builds: 0 });
    assertStringIncludes(err, message!);
  }
});
