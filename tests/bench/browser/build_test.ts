import { pathToFileURL } from "node:url";
import { buildPage } from "../../../bench/browser/build.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { WEIGHT } from "./page/weight.ts";
import { namesIn, testOnDisk } from "../../support/folder.ts";

const test = testOnDisk("run");

test("buildPage() makes a light page that needs neither Deno, Node nor other servers", async (parent) => {
  const folder = new URL("dist/", pathToFileURL(`${parent}/`));
  await buildPage({ folder });
  let weight = 0;
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) names.push(name);
  for (const name of names.filter((name) => name.endsWith(".js"))) {
    const script = await Deno.readTextFile(new URL(name, folder));
    weight += new TextEncoder().encode(script).length;
    assertEquals(
      /\bDeno\.\w+|["'`](node|npm|jsr):|\brequire\(/.exec(script)?.[0],
      undefined,
      name,
    );
    // Safari has WebGPU, but not `using`.
    assertEquals(/\b(await )?using [a-zA-Z_$]+ ?=/.exec(script)?.[0], undefined, name);
    assertEquals(/\beval\(|new Function\(/.exec(script)?.[0], undefined, name);
  }
  assert(weight > 100_000 && weight <= WEIGHT, `${weight} bytes of script`);
  const html = await Deno.readTextFile(new URL("index.html", folder));
  assert(!html.includes("{{"), "every field is filled");
  assert(!/<script(?![^>]* src=)|<style| style=| on\w+=/.test(html), "nothing is inline");
  // The page loads nothing from other sites. It may link to them, because following a link is the
  // user's choice.
  const outside = [...html.matchAll(/\b(?:src|href)="(https?:[^"]*)"/g)].map(([, url]) => url);
  assertEquals(outside, ["https://arxiv.org/abs/2603.17771"]);
  assertStringIncludes(html, 'data-fixture="fixtures/lavapipe-deno.json"');
  for (const name of ["page.js", "worker.js", "style.css", "icon.svg"]) {
    assert(names.includes(name), name);
  }
  // Building again replaces the page, and leaves nothing half-made.
  await buildPage({ folder });
  assertEquals(await namesIn(parent), ["dist"]);
});
