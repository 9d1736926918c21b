/** The rooms of the house depend on each other in one direction, from the commands down to WebGPU. */
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "./support/assert/assert.ts";

/** From the lowest to the highest: a file imports from its own room and from those in front of it. */
const ROOMS = [
  "kernels",
  "src", // files that know nothing of the rooms, such as random numbers
  "src/statistics",
  "src/files",
  "src/gpu",
  "src/reference",
  "src/ops",
  "src/measure",
  "src/sinks",
  "src/model",
  "src/experiments",
  "src/report",
  "src/cli",
  "mod.ts",
  "bench",
  "tests",
] as const;

type Room = typeof ROOMS[number];

interface Import {
  readonly from: string;
  readonly to: string;
  /** Gone once it runs. */
  readonly typesOnly: boolean;
}

/** A room is a folder of `src/` with all its drawers, or another folder of the top level. */
function roomOf(path: string): Room | undefined {
  const folders = path.split("/").slice(0, -1);
  const name = path === "mod.ts" ? path : folders.slice(0, folders[0] === "src" ? 2 : 1).join("/");
  return ROOMS.find((room) => room === name);
}

/**
 * What a module imports from this repository: statements at the beginning of a line, `import()`, and the modules that
 * are started by their address.
 */
function importsOf(from: string, text: string): Import[] {
  const patterns: readonly [RegExp, boolean][] = [
    [/^(?:import|export) type\b[^;"]*?\bfrom "(\.[^"]+)"/gm, true],
    [/^(?:import|export)(?! type\b)[^;"]*?\bfrom "(\.[^"]+)"/gm, false],
    [/^import "(\.[^"]+)"/gm, false],
    [/^[^*'\n]*\bimport\("(\.[^"]+)"\)/gm, false],
    [/^[^*'\n]*\bnew URL\(\s*"([^"]+\.ts)",\s*import\.meta\.url/gm, false],
  ];
  return patterns.flatMap(([pattern, typesOnly]) =>
    [...text.matchAll(pattern)].map(([, address]) => ({
      from,
      to: normalize(join(dirname(from), address!)),
      typesOnly,
    }))
  );
}

/** What must not be: one line each. */
function wrongImports(imports: readonly Import[]): string[] {
  return imports.filter(({ from, to }) => {
    const [own, other] = [roomOf(from), roomOf(to)];
    // Data, which tests read as text.
    if (own === "tests" && to.startsWith("fixtures/")) return false;
    if (other === undefined) return to !== "deno.json";
    return ROOMS.indexOf(other) > ROOMS.indexOf(own!);
  }).map(({ from, to }) => `${from} imports ${to}`);
}

/** The first ring of modules that need each other before they can run, in order; empty if there is none. */
function ringOf(imports: readonly Import[]): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to, typesOnly } of imports) {
    if (!typesOnly) next.set(from, [...next.get(from) ?? [], to]);
  }
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): string[] => {
    if (way.includes(path)) return [...way.slice(way.indexOf(path)), path];
    if (done.has(path)) return [];
    for (const to of next.get(path) ?? []) {
      const ring = visit(to, [...way, path]);
      if (ring.length > 0) return ring;
    }
    done.add(path);
    return [];
  };
  for (const path of next.keys()) {
    const ring = visit(path, []);
    if (ring.length > 0) return ring;
  }
  return [];
}

const root = fileURLToPath(new URL("../", import.meta.url));

async function modulesIn(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
    if (name === "dist" || name === "node_modules") continue; // made, not written
    const path = `${folder}/${name}`;
    if (isDirectory) paths.push(...await modulesIn(path));
    else if (name.endsWith(".ts")) paths.push(path);
  }
  return paths;
}

function testReading(name: string, body: () => Promise<void>): void {
  Deno.test({ name, ignore: !readable, fn: body });
}

const readable = (await Deno.permissions.query({ name: "read" })).state === "granted";

async function allImports(): Promise<Import[]> {
  const folders = await Promise.all(["src", "kernels", "bench", "tests"].map(modulesIn));
  const paths = ["mod.ts", ...folders.flat()];
  const texts = await Promise.all(paths.map((path) => Deno.readTextFile(join(root, path))));
  return paths.flatMap((path, i) => importsOf(path, texts[i]!));
}

testReading("no module imports from a room above its own", async () => {
  const imports = await allImports();
  assert(imports.length > 1500, `${imports.length} imports`);
  assertEquals(wrongImports(imports), []);
});

testReading("no modules need each other before they can run", async () => {
  assertEquals(ringOf(await allImports()), []);
});

Deno.test("wrong imports are found, however they are written", () => {
  const wrong: readonly (readonly [string, string])[] = [
    ["src/sinks/valve.ts", 'import type { A } from "../model/config.ts";'],
    ["src/gpu/plan.ts", 'import {\n  a,\n  type B,\n} from "../ops/kernels.ts";'],
    ["src/ops/add.ts", 'export * from "../measure/timing.ts";'],
    ["src/ops/add.ts", 'import "../../mod.ts";'],
    ["src/ops/add.ts", 'const { a } = await import("../cli/bench.ts");'],
    ["src/cli/bench.ts", 'import { a } from "../../bench/suite.ts";'],
    ["src/cli/bench.ts", 'import { a } from "../../tests/support/gpu.ts";'],
    ["src/cli/bench.ts", 'new URL("../../tests/cli/programs/fake_child.ts", import.meta.url)'],
    ["kernels/unroll.ts", 'import { a } from "../src/random.ts";'],
    ["src/random.ts", 'import { a } from "./gpu/plan.ts";'],
    ["bench/suite.ts", 'import { a } from "../tests/support/gpu.ts";'],
    ["src/ops/add.ts", 'import { a } from "../new_room/a.ts";'],
  ];
  for (const [from, text] of wrong) {
    assertEquals(wrongImports(importsOf(from, text)).length, 1, `${from}: ${text}`);
  }
  const right: readonly (readonly [string, string])[] = [
    ["src/cli/bench.ts", 'import configuration from "../../deno.json" with { type: "json" };'],
    ["src/ops/add.ts", ' * import { openGpu } from "../../mod.ts";'],
    [
      "src/ops/add.ts",
      'import source from "../../kernels/add.wgsl" with { type: "text" };',
    ],
    ["tests/bench/table_test.ts", 'import { a } from "../../bench/table.ts";'],
  ];
  for (const [from, text] of right) assertEquals(wrongImports(importsOf(from, text)), []);
  const ring = [["a", "b"], ["b", "c"], ["c", "b"]]
    .map(([from, to]) => ({ from: from!, to: to!, typesOnly: false }));
  assertEquals(ringOf(ring), ["b", "c", "b"]);
  assertEquals(ringOf(ring.map((each) => ({ ...each, typesOnly: each.to === "c" }))), []);
});
