/** `deno task study report`. */
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { join } from "node:path";
import { armName } from "../../../src/experiments/study/arms.ts";
import { writeStudyRecord } from "../../../src/experiments/study/record_store.ts";
import { syntheticStudy } from "../../experiments/study/synthetic.ts";
import { testOnDisk } from "../../support/folder.ts";
import { ran, SMALL } from "./ran.ts";

const test = testOnDisk("run", "env");

test("study report begins with the planned runs that are missing", async (folder) => {
  const out = join(folder, "study");
  // Seed 2 belongs to the second shard, which never runs. So seed 2 occurs only in the plan.
  const args = [...SMALL, "--seeds=2", "--shard=1/2", `--out=${out}`];
  assertEquals((await ran(args)).code, 0);
  const [report, gathered] = [join(folder, "report"), join(folder, "gathered")];
  const { out: text, err } = await ran(
    ["report", out, `--out=${report}`, `--records=${gathered}`],
  );
  const wanted = "2 of 4 runs are missing: no complete run of " +
    "shallow-learned-seed2, shallow-none-seed2";
  const names = ["index.html", "figures", "claims.md", "claims.json"];
  const paths = [...names.map((name) => join(report, name)), gathered];
  const written = paths.map((path) => `study: written to ${path}\n`).join("");
  assertEquals([err, text.split("\n")[0]], [written, wanted]);
  const page = await Deno.readTextFile(join(report, "index.html"));
  assert(page.indexOf(wanted) > 0 && page.indexOf(wanted) < page.indexOf('class="lead"'));
  const markdown = await Deno.readTextFile(join(report, "claims.md"));
  assertEquals(markdown.split("\n")[2], `**${wanted}**`);
  // A folder of gathered records contains the plan, too.
  const again = await ran(["report", gathered, `--out=${report}`]);
  assertEquals(again.out.split("\n")[0], wanted, again.err);
  const plan = (await Array.fromAsync(Deno.readDir(out))).find(({ name }) => /^plan-/.test(name))!;
  await Deno.writeTextFile(
    join(out, plan.name),
    '{"schema":"gradsink-study-plan/1","arms":["\\u001b"]}',
  );
  assertStringIncludes(
    (await ran(["report", out, `--out=${report}`])).out,
    "is no plan of a study",
  );
});

test("study report merges folders, and names duplicate and missing runs", async (folder) => {
  const found = syntheticStudy([1, 2]);
  for (const [i, { record }] of found.entries()) {
    for (const part of [...i < 5 ? ["a"] : [], ...i === 4 || i === 6 ? ["b"] : []]) {
      await Deno.mkdir(join(folder, part), { recursive: true });
      await writeStudyRecord(join(folder, part, `${armName(record.arm)}.json`), record);
    }
  }
  const out = join(folder, "report");
  const { code, out: text, err } = await ran(
    ["report", join(folder, "a"), join(folder, "b"), `--out=${out}`],
  );
  assertEquals(code, 0, err);
  assertStringIncludes(text, "shallow-none-seed2 is there twice with equal figures");
  assertStringIncludes(text, "no complete run of shallow-fixed-seed2, shallow-backward-only-seed2");
  assertEquals(
    (await Array.fromAsync(Deno.readDir(out))).map(({ name }) => name).sort(),
    ["claims.json", "claims.md", "figures", "index.html"],
  );
  // Gathered records make the same report.
  const [gathered, second] = [join(folder, "gathered"), join(folder, "second")];
  await ran([
    "report",
    join(folder, "a"),
    join(folder, "b"),
    `--out=${out}`,
    `--records=${gathered}`,
  ]);
  assertEquals((await ran(["report", gathered, `--out=${second}`])).code, 0);
  const [claims, again] = await Promise.all(
    [out, second].map(async (each) =>
      JSON.parse(await Deno.readTextFile(join(each, "claims.json"))).claims as unknown
    ),
  );
  assertEquals(again, claims);
  await Deno.mkdir(join(folder, "empty"));
  const empty = await ran(["report", join(folder, "empty"), `--out=${out}`]);
  assertEquals(empty.code, 1);
  assertStringIncludes(empty.err, "no complete run in");
});
