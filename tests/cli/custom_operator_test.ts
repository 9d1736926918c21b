/** `--operator` from end to end: bench, tune and compare with a custom operator's file. */
import { fileURLToPath } from "node:url";
import { compareResultFiles } from "../../src/measure/comparison.ts";
import { readResultFile } from "../../src/measure/result_file/store.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { testWith } from "../support/permitted.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const example = `${root}bench/operators/softcap.ts`;
const testCommand = testWith("run", "read", "write", "env");

async function run(
  command: "bench" | "tune",
  { args, cwd }: { readonly args: readonly string[]; readonly cwd: string },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-lock", "-A", `${root}src/cli/${command}.ts`, ...args],
    cwd,
    env: { NO_COLOR: "1", GRADSINK_TUNING: "off" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

// The folder has a space and an accent in its name, as users' folders may.
async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gradsink opérateur " });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

testCommand(
  "bench --operator measures a file's operator, and compare tells the file's versions apart",
  () =>
    inFolder(async (folder) => {
      const text = await Deno.readTextFile(example);
      await Deno.writeTextFile(`${folder}/a.ts`, text);
      await Deno.writeTextFile(`${folder}/b.ts`, text.replace("tanh(x[i]", "tanh(1.0 * x[i]"));
      const how = ["--shape=n4096", "--passes=forward", "--variants=all", "--cache=hot"];
      const args = ["--operator=./a.ts", "--out=a.json", "--budget=1", ...how];
      const { code, stdout, stderr } = await run("bench", { args, cwd: folder });
      assertEquals(code, 0, stderr);
      for (const part of ["softcap", "vec4", "scalar", "n=4096"]) {
        assertStringIncludes(stdout, part);
      }
      const file = await readResultFile(`${folder}/a.json`);
      const digest = file.measurements[0]!.operatorDigest;
      assert(/^[0-9a-f]{16}$/.test(digest!));
      assertEquals((file.settings.selection as Record<string, unknown>).operator, {
        name: "softcap",
        digest,
      });
      const measurements = file.measurements.map((each) => ({
        ...each,
        operatorDigest: "0".repeat(16),
      }));
      const later = { name: "later", file: { ...file, measurements } };
      const { warnings } = compareResultFiles([{ name: "a", file }, later]);
      assert(warnings.some((each) => each.startsWith("softcap: the operator's files differ")));
      const same = compareResultFiles([{ name: "a", file }, { name: "b", file }]).warnings;
      assert(!same.some((each) => each.startsWith("softcap: the operator")), same.join());
      const resumed = await run("bench", { args: ["--resume=a.json"], cwd: folder });
      assertStringIncludes(resumed.stderr, "is complete");
      await Deno.writeTextFile(
        `${folder}/a.json`,
        (await Deno.readTextFile(`${folder}/a.json`)).replace('"complete"', '"incomplete"'),
      );
      const without = await run("bench", { args: ["--resume=a.json"], cwd: folder });
      assertStringIncludes(without.stderr, "give --operator=FILE as before");
      const other = await run("bench", {
        args: ["--resume=a.json", "--operator=b.ts"],
        cwd: folder,
      });
      assertStringIncludes(other.stderr, "begin a new file");
      assertEquals([resumed, without, other].map(({ code }) => code), [2, 2, 2]);
    }),
);

testCommand("tune --operator races the variants of a file", () =>
  inFolder(async (folder) => {
    const args = [`--operator=${example}`, "--shapes=n4096", "--budget=2", "--dry-run"];
    const { code, stdout, stderr } = await run("tune", { args, cwd: folder });
    assertEquals(code, 0, stderr);
    assert(/softcap forward +n=4096 +n=4096 +vec4 .* 2\/2/.test(stdout), stdout);
  }));

testCommand(
  "a file without an operator is refused before anything is measured",
  () =>
    inFolder(async (folder) => {
      const text = await Deno.readTextFile(example);
      const cases = {
        "taken.ts": [text.replace('"softcap"', '"matmul"'), "which the suite measures already"],
        "reads.ts": ['Deno.readTextFileSync("/etc/hostname");', "does not have; import texts"],
        "broken.ts": ["export const name = ;", "SyntaxError"],
        "lost.ts": ['import "./nowhere.ts";', "nowhere.ts"],
      } as const;
      for (const [name, [content, message]] of Object.entries(cases)) {
        await Deno.writeTextFile(`${folder}/${name}`, content!);
        const { code, stderr } = await run("bench", { args: [`--operator=${name}`], cwd: folder });
        assertStringIncludes(stderr, message!);
        assertStringIncludes(stderr, name);
        assertEquals(code, 2);
      }
    }),
);
