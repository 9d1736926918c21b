/**
 * deno.json's list of packages and the code agree: the list has exactly what the code imports. The
 * list allows no version of a package that is older than the tested one.
 *
 * There is no lock file, because Deno adds to it whatever a command loads for the first time, such
 * as packages from JSR. The checkout would then differ from its commit, and result files, which
 * record the commit, would say so.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import { assert, assertEquals } from "./support/assert/assert.ts";
import { testWith } from "./support/permitted.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const listed: Readonly<Record<string, string>> = config.imports;

/** The package of an import such as `pure-rand/distribution/uniformInt`. */
function packageOf(specifier: string): string {
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

/** Packages that a module imports by their names in deno.json, examples in comments included. */
function importsOf(text: string): string[] {
  const found = text.matchAll(/\b(?:from|import)\s*\(?\s*"(@?[a-z][\w./-]*)"/g);
  return [...found].map(([, specifier]) => packageOf(specifier!)).filter((name) =>
    name !== config.name
  );
}

/** Packages that a module loads by full address; type imports do not count. */
function addressesOf(text: string): string[] {
  return [...text.matchAll(/(?<!@ts-types=)"(npm:[^"\s$]+)"/g)].map(([, address]) => address!);
}

async function sources(): Promise<Map<string, string>> {
  const texts = new Map([["mod.ts", await Deno.readTextFile(join(root, "mod.ts"))]]);
  for (const room of ["src", "kernels", "bench", "tests"]) {
    const entries = await readdir(join(root, room), { recursive: true, withFileTypes: true });
    for (const { parentPath, name } of entries) {
      const path = join(parentPath, name);
      if (!name.endsWith(".ts") || /[/\\]dist[/\\]|packages_test/.test(path)) continue;
      texts.set(path.slice(root.length), await Deno.readTextFile(path));
    }
  }
  return texts;
}

Deno.test("imports are found however they are written", () => {
  const text = [
    'import { a } from "@scope/one/deep";',
    'import two from "two";',
    'const three = await import("three/deep");',
    'import "node:fs"; import "./four.ts";',
    'const five = "npm:five@^1.2.3";',
    '// @ts-types="npm:@types/six@3"',
  ].join("\n");
  assertEquals(importsOf(text), ["@scope/one", "two", "three"]);
  assertEquals(addressesOf(text), ["npm:five@^1.2.3"]);
});

testWith("read")(
  "every package that is imported is listed, and every listed one is imported",
  async () => {
    const used = new Set<string>();
    const unlisted: string[] = [];
    for (const [path, text] of await sources()) {
      for (const name of importsOf(text)) {
        if (name in listed) used.add(name);
        else unlisted.push(`${path}: ${name}`);
      }
      for (const address of addressesOf(text)) {
        const name = Object.keys(listed).find((each) => listed[each] === address);
        if (name !== undefined) used.add(name);
        // Two kinds of packages need not be in the list: the embedded driver's, which
        // src/gpu/embedded/archive.ts fetches by its exact version, and the libraries that
        // bench/peers compares.
        else if (/^src\//.test(path) && !path.endsWith("archive.ts")) {
          unlisted.push(
            `${path}: ${address}`,
          );
        }
      }
    }
    assertEquals(unlisted, []);
    assertEquals(Object.keys(listed).filter((name) => !used.has(name)), []);
  },
);

Deno.test("every package of npm has the tested version as its lower bound", () => {
  const loose = Object.values(listed).filter((address) => address.startsWith("npm:"))
    .filter((address) => !/@\^\d+\.\d+\.\d+$/.test(address));
  assertEquals(loose, []);
  assert(Object.keys(listed).length > 15);
  // Older versions compute rank sums wrongly for tied samples.
  const [, major, minor] = /\^(\d+)\.(\d+)/.exec(listed["simple-statistics"]!)!.map(Number);
  assert(major === 7 && minor! >= 12, listed["simple-statistics"]);
});

testWith("read", "run")("a package for JSR holds no tests, no fixtures and no bench", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty", "--no-check"],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert(success, said);
  const files = [...said.matchAll(/^\s+(file:\S+) \(/gm)].map(([, url]) =>
    fileURLToPath(url!).slice(root.length)
  );
  assert(files.includes("mod.ts") && files.includes(join("kernels", "attention", "forward.wgsl")));
  assertEquals(
    files.filter((path) => !/^(mod\.ts|deno\.json|LICENSE|README\.md|src|kernels)\b/.test(path)),
    [],
  );
});
