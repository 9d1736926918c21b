/**
 * All commands share exit codes, report a failure in one line, and end quietly if nobody reads
 * their output.
 */
import { fileURLToPath } from "node:url";
import { UsageError } from "../../../src/cli/shared/arguments.ts";
import { runCommand } from "../../../src/cli/shared/command.ts";
import { OutputError, writeAll, writeOrDrop } from "../../../src/cli/shared/output.ts";
import { writeResultFile } from "../../../src/measure/result_file/store.ts";
import {
  noisySamples,
  syntheticMeasurement,
  syntheticResultFile,
} from "../../measure/synthetic.ts";
import { assertEquals, assertRejects, assertThrows } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";
import { recordOutput } from "../record_output.ts";

async function ran(
  thrown: unknown,
  explains?: (error: unknown) => boolean,
): Promise<{ code: number; out: string; err: string }> {
  const output = recordOutput();
  const code = await runCommand(
    {
      name: "tune",
      parse: ([first]) => first === "--help" ? undefined : first,
      help: () => "what it does\n",
      run: () => thrown === undefined ? Promise.resolve(3) : Promise.reject(thrown),
      ...explains === undefined ? {} : { explains },
    },
    thrown === "help" ? ["--help"] : ["work"],
    output,
  );
  return { code, ...output.texts };
}

Deno.test("runCommand() prints help, returns the command's exit code, and reports failures in one line", async () => {
  assertEquals(await ran("help"), { code: 0, out: "what it does\n", err: "" });
  assertEquals(await ran(undefined), { code: 3, out: "", err: "" });
  const cases: readonly [unknown, number, string][] = [
    [new UsageError("a\n b\u001b[2J"), 2, "tune: a b\\u001b[2J (see --help)\n"],
    [
      new UsageError("no such option; --help lists them"),
      2,
      "tune: no such option; --help lists them\n",
    ],
    [new Error("c"), 1, "tune: c\n"],
    ["d", 1, "tune: d\n"],
  ];
  for (const [thrown, code, err] of cases) assertEquals(await ran(thrown), { code, out: "", err });
});

testWith("env", "read")(
  "runCommand() says how to give permissions that deno task does not pass on",
  async () => {
    const missing = new Deno.errors.NotCapable("fetching: run again with --allow-net=a");
    const before = Deno.env.get("INIT_CWD");
    try {
      Deno.env.set("INIT_CWD", "/");
      const program = JSON.stringify(fileURLToPath(Deno.mainModule));
      assertEquals(
        (await ran(missing)).err,
        [
          "tune: fetching: run again with --allow-net=a; ",
          `deno task takes no such flags, so start with deno run -A ${program}\n`,
        ].join(""),
      );
      Deno.env.delete("INIT_CWD");
      assertEquals((await ran(missing)).err, "tune: fetching: run again with --allow-net=a\n");
    } finally {
      if (before !== undefined) Deno.env.set("INIT_CWD", before);
    }
  },
);

Deno.test("runCommand() throws unexpected errors", async () => {
  const defect = new TypeError("x is undefined");
  const explains = (error: unknown) => error instanceof RangeError;
  await assertRejects(() => ran(defect, explains), TypeError);
  assertEquals((await ran(new RangeError("too large"), explains)).code, 1);
  assertEquals((await ran(new UsageError("no"), explains)).code, 2);
});

Deno.test("a full disk behind standard output is reported in one line, one behind standard error is not", async () => {
  const full = {
    writeSync: () => {
      throw new Error("No space left on device (os error 28)");
    },
  };
  const error = assertThrows(() => writeAll(full, "a"), OutputError);
  const err = "tune: output cannot be written: No space left on device\n";
  assertEquals(await ran(error, () => false), { code: 1, out: "", err });
  writeOrDrop(full, "a");
});

const missing: string[] = [];
for (const name of ["run", "read", "write"] as const) {
  if ((await Deno.permissions.query({ name })).state !== "granted") missing.push(`--allow-${name}`);
}

/** Runs a program whose output pipe closes before the first line. */
async function runUnread(program: string, args: readonly string[]) {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-lock", "-A", local(`../../../${program}`), ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await process.stdout.cancel();
  const [{ code }, stderr] = await Promise.all([
    process.status,
    new Response(process.stderr).text(),
  ]);
  return { code, stderr };
}

function local(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

const programs = [
  "src/cli/bench.ts",
  "src/cli/compare.ts",
  "src/cli/sinks.ts",
  "src/cli/study.ts",
  "src/cli/train.ts",
  "src/cli/tune.ts",
  "bench/peers/main.ts",
  "bench/scaling/main.ts",
];

for (const program of programs) {
  const name = `${program} is not a failure because its reader left`;
  Deno.test({
    name: missing.length === 0 ? name : `${name} [needs ${missing.join(" ")}]`,
    ignore: missing.length > 0,
    async fn() {
      assertEquals(await runUnread(program, ["--help"]), { code: 0, stderr: "" });
    },
  });
}

const kept = "a command's exit code stays when its reader left";
Deno.test({
  name: missing.length === 0 ? kept : `${kept} [needs ${missing.join(" ")}]`,
  ignore: missing.length > 0,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      for (const [name, median] of [["a", 1e6], ["b", 2e6]] as const) {
        const samples = noisySamples({ seed: 1, count: 30, median, sigma: 0.01 });
        const file = syntheticResultFile({ measurements: [syntheticMeasurement({ samples })] });
        await writeResultFile(`${folder}/${name}.json`, file);
      }
      const { code, stderr } = await runUnread("src/cli/compare.ts", [
        `${folder}/a.json`,
        `${folder}/b.json`,
        "--fail-on-regression=5%",
      ]);
      assertEquals(code, 3, stderr);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

const alone = "commands write to standard output through shared/output.ts alone";
Deno.test({
  name: missing.length === 0 ? alone : `${alone} [needs ${missing.join(" ")}]`,
  ignore: missing.length > 0,
  async fn() {
    for (const program of programs) {
      const text = await Deno.readTextFile(local(`../../../${program}`));
      assertEquals(text.match(/console\.\w+\(|Deno\.std(?:out|err)\b/g), null, program);
    }
  },
});
