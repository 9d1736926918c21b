/** Every task of deno.json that is a command takes paths relative to the user's folder. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../../deno.json" with { type: "json" };
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { inFolder } from "../support/folder.ts";
import { testWith } from "../support/permitted.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Each task that starts a program with options: the program and the task's command line. */
const programs = Object.values(config.tasks).flatMap(({ command }) => {
  const program = /(?:src\/cli\/\w+|bench\/\w+\/main)\.ts$/.exec(command)?.[0];
  return program === undefined ? [] : [{ program, command }];
});

/** Runs a task from another folder. */
async function task(cwd: string, ...args: string[]): Promise<{ code: number; err: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--config", join(root, "deno.json"), ...args],
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  return { code, err: new TextDecoder().decode(stderr) };
}

testWith("read")(
  "every command resolves its path options from the user's folder",
  async () => {
    assertEquals(programs.length, 13);
    let paths = 0;
    for (const { program, command } of programs) {
      const flag = / --allow-env(=\S*)? /.exec(command);
      assert(flag !== null && (flag[1] ?? "INIT_CWD").includes("INIT_CWD"), command);
      const source = await Deno.readTextFile(join(root, program));
      const start = /if \(import\.meta\.main\) \{\n {2}(enterUserFolder\(\);|await runAsProcess\()/;
      assert(start.test(source), program);
      const name = program.replace(/\.ts$/, "");
      const candidates = [
        program,
        `${name}/options.ts`,
        program.replace(/main\.ts$/, "options.ts"),
      ];
      for (const path of new Set(candidates)) {
        const text = await Deno.readTextFile(join(root, path)).catch(() => "");
        for (const [call] of text.matchAll(/takes(?:Path)?\(\s*"(?:FILE|FOLDER|PATH)"/g)) {
          assert(call.startsWith("takesPath"), `${path}: ${call}`);
          paths++;
        }
      }
    }
    assert(paths >= 16, `${paths} options are paths`);
  },
);

testWith("read", "write", "run", "env")(
  "tasks resolve paths from the folder that they are called in",
  () =>
    inFolder(async (parent) => {
      // A program that confuses paths with URLs fails with this name.
      const folder = join(parent, "mine é #1 100%");
      await Deno.mkdir(folder);
      for (const name of ["lavapipe-deno.json", "swiftshader-deno.json"]) {
        await Deno.copyFile(join(root, "fixtures", name), join(folder, name));
      }
      const compared = await task(
        folder,
        ...["compare", "lavapipe-deno.json", "swiftshader-deno.json", "--html=new/page.html"],
      );
      const page = join(folder, "new", "page.html");
      assertEquals(compared, { code: 0, err: `compare: written to ${page}\n` });
      assertStringIncludes(await Deno.readTextFile(page), "</html>");
      const missing: readonly (readonly string[])[] = [
        ["compare", "lavapipe-deno.json", "none"],
        ["bench", "--resume=none"],
        ["train", "--resume=none"],
        ["train", "text", "--corpus=none"],
        ["sinks", "none"],
        ["study", "report", "none"],
        ["study", "--settings=text", "--corpus=none"],
      ];
      for (const args of missing) {
        const { code, err } = await task(folder, ...args);
        assertEquals(code, 1, err);
        assertStringIncludes(err, join(folder, "none"), args.join(" "));
      }
    }),
);
