import { pathToFileURL } from "node:url";
import { contentPolicy } from "../../../bench/browser/build.ts";
import { answer, page } from "../../../bench/browser/serve.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { recordOutput } from "../../cli/record_output.ts";
import { testOnDisk } from "../../support/folder.ts";

const test = testOnDisk();

test("answer() serves the build's files under a strict policy, and nothing else", async (parent) => {
  await Deno.writeTextFile(`${parent}/secret.json`, "secret");
  await Deno.mkdir(`${parent}/dist/fixtures`, { recursive: true });
  const folder = new URL("dist/", pathToFileURL(`${parent}/`));
  await Deno.writeTextFile(new URL("index.html", folder), "the page");
  await Deno.writeTextFile(new URL("page.js", folder), "script");
  await Deno.writeTextFile(new URL("fixtures/a.json", folder), "{}");
  const get = (path: string, init?: RequestInit) =>
    answer(new Request(`http://localhost${path}`, init), folder);
  const types = {
    "/": "text/html",
    "/?budget=1": "text/html",
    "/page.js": "text/javascript",
    "/fixtures/a.json": "application/json",
  };
  for (const [path, type] of Object.entries(types)) {
    const response = await get(path);
    assertEquals(response.status, 200, path);
    assertStringIncludes(response.headers.get("content-type")!, type);
    assertStringIncludes(response.headers.get("content-security-policy")!, contentPolicy);
    assertEquals(response.headers.get("x-content-type-options"), "nosniff");
  }
  assertEquals(await (await get("/")).text(), "the page");
  assertEquals(await (await get("/", { method: "HEAD" })).text(), "");
  const others = [
    ...["/../secret.json", "/%2e%2e/secret.json", "/..%2fsecret.json", "//secret.json"],
    ...["/fixtures/../../secret.json", "/absent.js", "/fixtures", "/page.js/", "/%00.js"],
  ];
  for (const path of others) {
    const response = await get(path);
    assertEquals(response.status, 404, path);
    assert(!(await response.text()).includes("secret"), path);
  }
  assertEquals((await get("/", { method: "POST" })).status, 405);
});

Deno.test("contentPolicy forbids everything that it does not name", () => {
  assertStringIncludes(contentPolicy, "default-src 'none'");
  assert(!/unsafe|https?:|\*|data:|blob:/.test(contentPolicy), contentPolicy);
});

// Runs the command with a build and a server that only note their calls.
async function runPage(...args: string[]) {
  const recorded = recordOutput();
  const calls: string[] = [];
  const code = await page(args, recorded, {
    build: () => Promise.resolve(void calls.push("build")),
    serve({ hostname, port }) {
      calls.push(`serve ${hostname}:${port}`);
      if (port === 1234) throw new Deno.errors.AddrInUse("in use");
    },
  });
  return { code, calls, ...recorded.texts };
}

Deno.test("deno task page builds the page, then serves it on the given port", async () => {
  for (const [args, port] of [[[], 8017], [["0"], 0], [["65535"], 65_535]] as const) {
    const { code, calls, err } = await runPage(...args);
    assertEquals(code, 0, err);
    assertEquals(calls, ["build", `serve 127.0.0.1:${port}`]);
  }
  const { code, err } = await runPage("1234");
  assertEquals(code, 1);
  assertStringIncludes(err, "page: port 1234 is in use, choose another: deno task page 1235");
});

Deno.test("deno task page --help prints its help and builds nothing", async () => {
  for (const flag of ["--help", "-h"]) {
    const { code, calls, out, err } = await runPage(flag);
    assertEquals({ code, calls, err }, { code: 0, calls: [], err: "" });
    for (const part of ["Usage: deno task page [PORT]", "-h, --help", "8017", "Exit codes:"]) {
      assertStringIncludes(out, part);
    }
  }
});

Deno.test("deno task page refuses a wrong command line before it builds", async () => {
  const cases: [string[], string][] = [
    [["--port=8017"], 'unknown option "--port"'],
    [["8017", "8018"], 'unexpected "8018"'],
    [["65536"], 'the port is "65536"'],
    [["1.5"], 'the port is "1.5"'],
    [[""], 'the port is ""'],
    [["--", "-1"], 'the port is "-1"'],
  ];
  for (const [args, message] of cases) {
    const { code, calls, err } = await runPage(...args);
    assertEquals({ code, calls }, { code: 2, calls: [] }, message);
    assertStringIncludes(err, message);
  }
});
