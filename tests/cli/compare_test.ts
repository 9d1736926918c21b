import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { join } from "node:path";
import { runCompare } from "../../src/cli/compare.ts";
import type { ResultFile } from "../../src/measure/result_file.ts";
import { recordOutput } from "./record_output.ts";
import {
  fromOneProcess,
  noisySamples,
  syntheticMeasurement,
  syntheticProcesses,
  syntheticResultFile,
} from "../measure/synthetic.ts";
import { testOnDisk } from "../support/folder.ts";

const test = testOnDisk();

/** Runs the command in this process. */
async function compare(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const output = recordOutput();
  return { code: await runCompare(args, output), ...output.texts };
}

/**
 * Checks that the command exits with `code`, prints one line that contains `part` to standard
 * error, and prints nothing to standard output.
 */
async function refused(code: number, part: string, ...args: string[]): Promise<void> {
  const found = await compare(...args);
  assertEquals([found.code, found.out], [code, ""], found.err);
  assertStringIncludes(found.err, part);
  assert(/^compare: [^\n]+\n$/.test(found.err), JSON.stringify(found.err));
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

/** Writes a result file of made-up times, multiplied by `factor`, and returns the file's path. */
async function result(
  folder: string,
  name: string,
  options: { factor?: number; fields?: Partial<ResultFile> } = {},
): Promise<string> {
  const { factor = 1, fields = {} } = options;
  const measurements = [64, 128, 256].map((T, i) =>
    syntheticMeasurement({
      shape: { B: 1, T },
      samples: noisySamples({ seed: i, count: 30, median: 1e5 * factor * T, sigma: 0.01 }),
    })
  );
  const path = join(folder, name);
  await Deno.writeTextFile(
    path,
    JSON.stringify(syntheticResultFile({ label: name, measurements, ...fields })),
  );
  return path;
}

test("compare prints a table, Markdown, CSV or JSON", async (folder) => {
  const [a, b] = [await result(folder, "a"), await result(folder, "b", { factor: 1.3 })];
  const table = await compare(a, b);
  assertEquals([table.code, table.err], [0, ""]);
  assertEquals(table.out.match(/▼ slower/g)?.length, 3);
  assertStringIncludes(table.out, "+30.0 %");
  const markdown = await compare("--format", "markdown", a, b);
  assertEquals(markdown.out.match(/\| ▼ slower \|/g)?.length, 3);
  const csv = await compare(a, b, "--format=csv");
  assertEquals(csv.out.trimEnd().split("\n").length, 7);
  const json = JSON.parse((await compare("-f", "json", a, b)).out);
  assertEquals(json.rows.length, 3);
  // For each file, compute the geometric mean of its four processes' medians. The ratio is file b's
  // mean divided by file a's.
  const raw = await Promise.all(
    [a, b].map(async (path) => JSON.parse(await Deno.readTextFile(path))),
  );
  const [before, after] = raw.map(({ measurements: [{ samples, processes }] }) => {
    let first = 0;
    const medians = processes.map(({ samples: count }: { samples: number }) => {
      const ordered = samples.slice(first, first += count).sort((x: number, y: number) => x - y);
      return (ordered[Math.floor((count - 1) / 2)]! + ordered[Math.ceil((count - 1) / 2)]!) / 2;
    });
    return medians.reduce((product: number, each: number) => product * each) **
      (1 / medians.length);
  });
  const { ratio, processes } = json.rows[0].cells[1].pair;
  assert(Math.abs(ratio / (after! / before!) - 1) < 1e-12, `${ratio}`);
  assertEquals(processes, [4, 4]);
});

test("compare with many files prints a matrix", async (folder) => {
  const files = await Promise.all(
    [1, 2, 3].map((factor) => result(folder, `m${factor}`, { factor })),
  );
  const { code, out } = await compare(...files);
  assertEquals(code, 0);
  for (const part of ["m1", "m2", "m3", "2.00×", "3.00×", "mean rank"]) {
    assertStringIncludes(out, part);
  }
});

test("compare --html writes one page and leaves nothing else", async (folder) => {
  const [a, b] = [await result(folder, "a"), await result(folder, "b", { factor: 1.3 })];
  const page = join(folder, "page.html");
  for (let i = 0; i < 2; i++) {
    const { code, out, err } = await compare(a, b, "--html", page, "--format=json");
    assertEquals([code, err], [0, `compare: written to ${page}\n`]);
    assertEquals(JSON.parse(out).rows.length, 3);
    assertStringIncludes(await Deno.readTextFile(page), "</html>");
    assertEquals(await names(folder), ["a", "b", "page.html"]);
  }
});

test(
  "compare --fail-on-regression exits with 3 if a row got slower or broke",
  async (folder) => {
    const a = await result(folder, "a");
    const slower = await result(folder, "b", { factor: 1.12 });
    const same = await result(folder, "c");
    const broken = await result(folder, "d", {
      fields: {
        measurements: [
          syntheticMeasurement({ shape: { B: 1, T: 64 }, samples: [], status: "wrong" }),
          syntheticMeasurement({ shape: { B: 1, T: 128 } }),
        ],
      },
    });
    const found = await compare(a, slower, "--fail-on-regression", "5%");
    assertEquals(found.code, 3);
    assertEquals(found.err.match(/^regression: .* on b: \+12\.\d %$/gm)?.length, 3, found.err);
    assertEquals((await compare(a, slower, "--fail-on-regression=20%")).code, 0);
    assertEquals((await compare(slower, a, "--fail-on-regression=5%")).code, 0);
    assertEquals((await compare(a, same, "--fail-on-regression=5%")).code, 0);
    assertEquals((await compare(a, slower)).code, 0);
    // File d also lacks the third measurement. That alone would give exit code 4, but a row that
    // broke gives 3.
    const broke = await compare(a, broken, "--fail-on-regression=5%");
    assertEquals(broke.code, 3);
    assertStringIncludes(broke.err, "on d: wrong");
  },
);

test(
  "compare --fail-on-regression exits with 4 if nothing can be judged",
  async (folder) => {
    const a = await result(folder, "a");
    const [first] = JSON.parse(await Deno.readTextFile(a)).measurements;
    const one = await result(folder, "one", { fields: { measurements: [first] } });
    const cut = await result(folder, "cut", { fields: { status: "incomplete" } });
    const gate = "--fail-on-regression=5%";
    for (
      const [later, line] of [
        [one, "gate: 2 of 3 measurements of the first file are missing; "],
        [cut, "gate: the run of cut is incomplete; "],
      ] as const
    ) {
      const refused = await compare(a, later, gate);
      assertEquals([refused.code, refused.err], [4, `${line}--allow-missing lets this pass\n`]);
      const allowed = await compare(a, later, gate, "--allow-missing");
      assertEquals([allowed.code, allowed.err], [0, `${line}allowed by --allow-missing\n`]);
      assertEquals((await compare(a, later)).code, 0);
    }
    // A new measurement in the later file does not count as missing.
    assertEquals(await compare(one, a, gate).then(({ code, err }) => [code, err]), [0, ""]);
    await refused(2, "give both", a, one, "--allow-missing");
    const csv = (await compare(a, one, "--format=csv")).out;
    assertEquals(csv.match(/,missing,/g)?.length, 2);
    const { rows, uncompared } = JSON.parse((await compare(a, one, "--format=json")).out);
    assertEquals([rows.length, uncompared.length], [1, 2]);
    assertEquals(
      uncompared.map(({ cells }: { cells: { status: string }[] }) =>
        cells.map(({ status }) => status)
      ),
      [["ok", "missing"], ["ok", "missing"]],
    );
  },
);

test("compare says how to settle a change that it cannot judge", async (folder) => {
  const made = (name: string, slow: number) =>
    result(folder, name, {
      fields: {
        settings: { budgetSeconds: 60 },
        measurements: syntheticProcesses({
          ...{ seed: name.charCodeAt(0), processes: 3, samples: 6, sigma: 0.01 },
          ...{ rowSigma: 0.08, processSigma: 0 },
          times: Array.from({ length: 20 }, (_, i) => i === slow ? 1.3e6 : 1e6),
        }),
      },
    });
  const [a, b] = [await made("a", -1), await made("b", 7)];
  const { code, out, err } = await compare(a, b, "--fail-on-regression=5%");
  assertEquals(code, 0);
  assertStringIncludes(err, "undecided: attention forward B8 f32 hot on b: +");
  assertStringIncludes(err, "% and may be so by chance; more processes would tell");
  assertStringIncludes(err, "a larger --budget, or fewer rows");
  assertStringIncludes(out, "? ambiguous: chance");
  const [, seconds] = /B8 f32 hot: b: .* about (\d+) more seconds of --budget/.exec(out) ?? [];
  assert(Number(seconds) >= 30 && Number(seconds) <= 600, out);
});

test("compare says how little one process shows, and when nothing can be judged", async (folder) => {
  const [a, b] = await Promise.all([1, 1.3].map(async (factor) => {
    const measurement = fromOneProcess({
      samples: noisySamples({ seed: 1, count: 30, median: 1e6 * factor, sigma: 0.01 }),
    });
    return await result(folder, `${factor}`, { fields: { measurements: [measurement] } });
  }));
  const old = await compare(a!, b!, "--fail-on-regression=5%");
  assertEquals(old.code, 0);
  assertStringIncludes(old.out, "? ambiguous: one process");
  assertStringIncludes(old.out, "1.3: only one process measured 1 row");
  const noisy = await Promise.all(["c", "d"].map((name) =>
    result(folder, name, {
      fields: {
        measurements: syntheticProcesses({
          ...{ seed: name.charCodeAt(0), processes: 3, samples: 6, sigma: 0.01 },
          ...{ rowSigma: 1, processSigma: 0, times: [1e6, 2e6] },
        }),
      },
    })
  ));
  const blind = await compare(...noisy, "--fail-on-regression=5%");
  assertEquals(blind.code, 4, blind.err);
  assertStringIncludes(blind.err, "known well enough to show even a time twice as long");
});

test("compare takes a threshold", async (folder) => {
  const [a, b] = [await result(folder, "a"), await result(folder, "b", { factor: 1.12 })];
  assertEquals((await compare(a, b)).out.match(/▼ slower/g)?.length, 3);
  assertEquals((await compare(a, b, "--threshold=20%")).out.match(/= same/g)?.length, 3);
});

Deno.test("compare --help explains the command and its exit codes", async () => {
  const { code, out, err } = await compare("--help");
  assertEquals([code, err], [0, ""]);
  for (
    const part of [
      "--html",
      "--fail-on-regression",
      "--allow-missing",
      "--format",
      "Exit codes",
      "BASELINE.json",
    ]
  ) {
    assertStringIncludes(out, part);
  }
});

test("compare refuses a wrong command line with exit code 2", async (folder) => {
  const [a, b] = [await result(folder, "a"), await result(folder, "b")];
  await refused(2, "no result file given", "--format=csv");
  await refused(
    2,
    "one result file given, wanted at least two for --format=csv",
    a,
    "--format=csv",
  );
  await refused(2, "wanted at least two for --fail-on-regression", a, "--fail-on-regression=5%");
  await refused(2, "did you mean --html?", a, b, "--htm=x");
  await refused(2, "wanted table, markdown, csv, json", a, b, "--format=pdf");
  for (const value of ["5", "0%", "-5%", "x%", "1e9%", "NaN%"]) {
    await refused(2, "wanted a percentage such as 5%", a, b, `--fail-on-regression=${value}`);
    await refused(2, "wanted a percentage such as 5%", a, b, `--threshold=${value}`);
  }
  await refused(2, "--html wants a value", a, b, "--html");
  const before = await Deno.readTextFile(a);
  await refused(2, "would replace the result file", a, b, "--html", a);
  assertEquals(await Deno.readTextFile(a), before);
  assertEquals(await names(folder), ["a", "b"]);
});

test("compare refuses bad files with exit code 1, and writes nothing", async (folder) => {
  const good = await result(folder, "good");
  const page = join(folder, "page.html");
  await Deno.writeTextFile(page, "older");
  const text = await Deno.readTextFile(good);
  const bad: [string, string | undefined, string][] = [
    ["missing", undefined, "no such file"],
    ["truncated", text.slice(0, 500), "cut off"],
    ["text", "hello", "is not JSON"],
    ["schema", text.replace('"samples"', '"sample"'), "measurements[0].samples is missing"],
    ["future", text.replace("results/1", "results/2"), "newer gradsink"],
    ["other", "{}", "schema is missing"],
    ["huge", " ".repeat(17 * 2 ** 20), "larger than 16 MiB"],
  ];
  for (const [name, content, message] of bad) {
    const path = join(folder, name);
    if (content !== undefined) await Deno.writeTextFile(path, content);
    await refused(1, message, good, path, "--html", page);
    await refused(1, message, path, good, "--html", page);
  }
  await refused(1, "is a folder", good, folder, "--html", page);
  const lone = await result(folder, "lone", {
    fields: { measurements: [syntheticMeasurement({ kernel: "v_scale" })] },
  });
  await refused(1, "no comparable measurements", good, lone, "--html", page);
  assertEquals(await Deno.readTextFile(page), "older");
  assert(!(await names(folder)).some((name) => name.endsWith(".tmp")));
});

test("compare refuses an output that cannot be written, before any work", async (folder) => {
  const [a, b] = [await result(folder, "a"), await result(folder, "b")];
  await refused(1, "is a folder", a, b, "--html", folder);
  await refused(1, "cannot be written", a, b, "--html", join(folder, "a", "no", "page.html"));
  await refused(1, "cannot be written", a, b, "--html", join(a, "page.html"));
  if (Deno.build.os !== "windows") {
    await refused(1, "not a regular file", a, b, "--html", "/dev/null");
  }
  assertEquals(await names(folder), ["a", "b"]);
});
