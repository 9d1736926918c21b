import { pathToFileURL } from "node:url";
import { contentPolicy } from "../../../bench/browser/build.ts";
import { answer } from "../../../bench/browser/serve.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
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
