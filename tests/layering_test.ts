/**
 * The rooms of the repository depend on each other in one direction, from the commands down to
 * WebGPU. A room is a folder of `src/` with its subfolders, or another top-level folder.
 */
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "./support/assert/assert.ts";

/** Lowest first: a file may import from its own room and from the rooms listed before it. */
const ROOMS = [
  "kernels",
  "src", // files that import from no room, such as random numbers
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

/** Two rooms that must not import from each other. `src/report` may import from both. */
const APART: readonly (readonly [Room, Room])[] = [["src/experiments", "src/measure"]];

interface Import {
  readonly from: string;
  readonly to: string;
}

/** The room of a path. */
function roomOf(path: string): Room | undefined {
  const folders = path.split("/").slice(0, -1);
  const name = path === "mod.ts" ? path : folders.slice(0, folders[0] === "src" ? 2 : 1).join("/");
  return ROOMS.find((room) => room === name);
}

/**
 * A module's imports from this repository: statements at the beginning of a line, `import()`, and
 * modules that are started by URL.
 */
function importsOf(from: string, text: string): Import[] {
  const patterns: readonly RegExp[] = [
    /^(?:import|export)\b[^;"]*?\bfrom "(\.[^"]+)"/gm,
    /^import "(\.[^"]+)"/gm,
    /^[^*'\n]*\bimport\("(\.[^"]+)"\)/gm,
    /^[^*'\n]*\bnew URL\(\s*"([^"]+\.ts)",\s*import\.meta\.url/gm,
  ];
  return patterns.flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([, address]) => ({
      from,
      to: normalize(join(dirname(from), address!)),
    }))
  );
}

/** Describes the imports that break the order, one line each. */
function wrongImports(imports: readonly Import[]): string[] {
  return imports.filter(({ from, to }) => {
    const [own, other] = [roomOf(from), roomOf(to)];
    // Tests read these files as text.
    if (own === "tests" && to.startsWith("fixtures/")) return false;
    if (other === undefined) return to !== "deno.json";
    if (APART.some(([one, another]) => one === own && another === other)) return true;
    return ROOMS.indexOf(other) > ROOMS.indexOf(own!);
  }).map(({ from, to }) => `${from} imports ${to}`);
}

/** The first circle of modules that import each other, types included; empty if there is none. */
function ringOf(imports: readonly Import[]): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...next.get(from) ?? [], to]);
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

/** The most files per folder. */
const MOST_FILES = 15;

/** Folders of records. They grow with every study, so they may hold any number of files. */
const records = ["fixtures/study", "fixtures/chain"];

/** Describes the folders that hold more than `MOST_FILES` files, one line each. */
function fullFolders(paths: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const path of paths) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  return [...counts].filter(([folder, count]) => count > MOST_FILES && !records.includes(folder))
    .map(([folder, count]) => `${folder} has ${count} files, wanted at most ${MOST_FILES}`);
}

const root = fileURLToPath(new URL("../", import.meta.url));

async function filesIn(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
    if (name === "dist" || name === "node_modules" || name.startsWith(".")) continue; // generated
    const path = `${folder}/${name}`;
    if (isDirectory) paths.push(...await filesIn(path));
    else paths.push(path);
  }
  return paths;
}

const FOLDERS = ["src", "kernels", "bench", "tests"];

function testReading(name: string, body: () => Promise<void>): void {
  Deno.test({ name, ignore: !readable, fn: body });
}

const readable = (await Deno.permissions.query({ name: "read" })).state === "granted";

async function allImports(): Promise<Import[]> {
  const files = (await Promise.all(FOLDERS.map(filesIn))).flat();
  const paths = ["mod.ts", ...files.filter((path) => path.endsWith(".ts"))];
  const texts = await Promise.all(paths.map((path) => Deno.readTextFile(join(root, path))));
  return paths.flatMap((path, i) => importsOf(path, texts[i]!));
}

testReading("no module imports from a room above its own", async () => {
  const imports = await allImports();
  assert(imports.length > 1500, `${imports.length} imports`);
  assertEquals(wrongImports(imports), []);
});

testReading("no modules import each other, types included", async () => {
  assertEquals(ringOf(await allImports()), []);
});

testReading("no folder has more than 15 files", async () => {
  const files = (await Promise.all([...FOLDERS, "fixtures"].map(filesIn))).flat();
  assert(files.length > 700, `${files.length} files`);
  assertEquals(fullFolders(files), []);
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
    ["src/experiments/study/runner.ts", 'import type { A } from "../../measure/timing.ts";'],
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
  const texts: readonly (readonly [string, string])[] = [
    ["src/gpu/a.ts", 'import { b } from "./b.ts";'],
    ["src/gpu/b.ts", 'import {\n  type C,\n} from "./c.ts";'],
    ["src/gpu/c.ts", 'export type { B } from "./b.ts";'],
  ];
  const ring = texts.flatMap(([from, text]) => importsOf(from, text));
  assertEquals(ringOf(ring), ["src/gpu/b.ts", "src/gpu/c.ts", "src/gpu/b.ts"]);
  assertEquals(ringOf(ring.slice(0, 2)), []);
});

Deno.test("folders with too many files are found", () => {
  const many = (folder: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${folder}/${i}.ts`);
  const paths = [
    ...many("src/gpu", 15),
    ...many("src/ops/attention", 16),
    ...many(records[0]!, 99),
  ];
  assertEquals(fullFolders(paths), ["src/ops/attention has 16 files, wanted at most 15"]);
});
