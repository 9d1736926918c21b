import { fileURLToPath } from "node:url";
import { parseTune } from "../../src/cli/tune/options.ts";
import { UsageError } from "../../src/cli/shared/arguments.ts";
import { probeAdapter } from "../../src/gpu/adapter/probe.ts";
import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "../support/assert/assert.ts";

const missing: string[] = [];
for (const name of ["run", "read", "write", "env"] as const) {
  if ((await Deno.permissions.query({ name })).state !== "granted") missing.push(`--allow-${name}`);
}

const installed = missing.length === 0 && Deno.env.get("GRADSINK_ADAPTER") !== "embedded" &&
  await probeAdapter({}) !== undefined;

function testTune(
  name: string,
  fn: (folder: string) => Promise<void>,
  needs: readonly string[] = [],
): void {
  const lacking = [...missing, ...needs];
  const ignore = lacking.length > 0;
  Deno.test({
    name: ignore ? `${name} [needs ${lacking.join(" ")}]` : name,
    ignore,
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "gradsink-tune-" });
      try {
        await fn(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

function local(name: string): string {
  return fileURLToPath(new URL(`./programs/${name}`, import.meta.url));
}

function usualCache(): string {
  return Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
}

function denoFolder(): string {
  return Deno.env.get("DENO_DIR") ?? `${usualCache()}/deno`;
}

// Whether util-linux's `script` is installed, a program that runs a command at a terminal.
async function hasScript(): Promise<boolean> {
  const command = new Deno.Command("script", { args: ["--version"], stdin: "null" });
  const text = await command.output().then(({ stdout }) => new TextDecoder().decode(stdout))
    .catch(() => "");
  return text.includes("util-linux");
}

interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

// Runs a program in a child process that keeps tuned choices in `folder`, but uses the embedded
// driver of the usual cache.
async function run(
  args: readonly string[],
  { folder, tuning = "on" }: { readonly folder: string; readonly tuning?: string },
): Promise<Output> {
  const usual = usualCache();
  await Deno.mkdir(`${folder}/gradsink`, { recursive: true });
  for await (const { name } of await readFolder(`${usual}/gradsink`)) {
    if (!name.startsWith("swiftshader")) continue;
    const link = `${folder}/gradsink/${name}`;
    await Deno.symlink(`${usual}/gradsink/${name}`, link).catch(() => {});
  }
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-lock", ...args],
    env: {
      NO_COLOR: "1",
      XDG_CACHE_HOME: folder,
      DENO_DIR: denoFolder(),
      GRADSINK_TUNING: tuning,
    },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

async function readFolder(path: string): Promise<AsyncIterable<Deno.DirEntry>> {
  try {
    await Deno.stat(path);
    return Deno.readDir(path);
  } catch {
    return (async function* () {})();
  }
}

function tuneFaulty(args: readonly string[], folder: string): Promise<Output> {
  const words = [
    "-A",
    local("tune_main.ts"),
    local("faulty_variants_child.ts"),
    ...args,
  ];
  return run(words, { folder });
}

const show = `
import { openGpu } from "${new URL("../../mod.ts", import.meta.url).href}";
using gpu = await openGpu(JSON.parse(Deno.args[0] ?? "{}"));
console.log(JSON.stringify([...gpu.variants]));
`;

// The choices that openGpu takes from the folder.
async function choicesIn(
  folder: string,
  { flags = ["-A"], options = {}, tuning = "on" }: {
    readonly flags?: readonly string[];
    readonly options?: object;
    readonly tuning?: string;
  } = {},
): Promise<[string, string][]> {
  const program = `${folder}/show.ts`;
  await Deno.writeTextFile(program, show);
  const args = [...flags, program, JSON.stringify(options)];
  const { code, stdout, stderr } = await run(args, { folder, tuning });
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}

async function onlyFile(folder: string): Promise<string> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(`${folder}/gradsink/tuning`)) names.push(name);
  assertEquals(names.length, 1, names.join());
  return `${folder}/gradsink/tuning/${names[0]}`;
}

// With few rows, the run is short and still shows which variant is faster.
const shape = "smollm2-135m-t128";
const small = ["--kernels=rms-norm", `--shapes=${shape}`, "--software=auto", "--budget=120"];

testTune(
  "tune() survives kernels that hang, crash or compute nothing, and openGpu uses choices among the others",
  async (folder) => {
    const { code, stdout, stderr } = await tuneFaulty(small, folder);
    assertEquals(code, 3, stderr);
    assertStringIncludes(stdout, "vectorised failed: the process ended with code 9");
    const [forward, backward] = stdout.split("\n").filter((line) => line.startsWith("rmsNorm"));
    if (!forward!.includes("cannot run here")) {
      assertStringIncludes(forward!, "subgroup timed out: no answer for 12 s");
    }
    assertStringIncludes(backward!, "row-per-invocation wrong:");
    assertStringIncludes(stderr, "openGpu takes it up");

    const file = await onlyFile(folder);
    const { choices } = JSON.parse(await Deno.readTextFile(file)) as {
      choices: { operator: string; variant: string }[];
    };
    assertEquals(choices.map(({ operator }) => operator), ["rmsNormForward", "rmsNormBackward"]);
    assert(["tile", "row-per-invocation", "portable"].includes(choices[0]!.variant));
    assert(choices[1]!.variant !== "row-per-invocation");

    const taken = new Map(await choicesIn(folder));
    assertEquals([...taken.values()].sort(), choices.map(({ variant }) => variant).sort());
    assert([...taken.keys()].every((key) => /^rmsNorm\w+ vector d<=\d+ rows<=\d+$/.test(key)));

    // With the option `tuning: false`, or with GRADSINK_TUNING=off, openGpu() takes no choices.
    assertEquals(await choicesIn(folder, { options: { tuning: false } }), []);
    assertEquals(await choicesIn(folder, { tuning: "off" }), []);
    // openGpu() does not take another adapter's choices, which lie in the same folder under another
    // file name.
    await Deno.rename(file, file.replace(/[0-9a-f]{4}\.json$/, "0000.json"));
    assertEquals(await choicesIn(folder), []);
  },
);

testTune(
  "tune() says why no variant runs, and claims to keep a choice only if it does",
  async (folder) => {
    const root = new URL("../../", import.meta.url);
    const text = await Deno.readTextFile(new URL("bench/operators/softcap.ts", root));
    await Deno.writeTextFile(`${folder}/a.ts`, text.replace("cost: cost({ n }),", ""));
    const tune = fileURLToPath(new URL("src/cli/tune.ts", root));
    const what = ["--shapes=n4096", "--passes=forward", "--budget=1"];
    const { code, stdout, stderr } = await run(
      ["-A", tune, `--operator=${folder}/a.ts`, ...what],
      { folder },
    );
    assertEquals(code, 3, stderr);
    assertStringIncludes(
      stdout,
      "vec4 failed: softcap: new Plan has no valid cost, wanted { flops",
    );
    assert(!stderr.includes("kept in"), stderr);
  },
);

testTune(
  "openGpu() ignores a poisoned cache, and tune() overwrites it",
  async (folder) => {
    const first = await tuneFaulty([...small, "--passes=backward"], folder);
    assertEquals(first.code, 3, first.stderr);
    const file = await onlyFile(folder);
    const poisoning = await run(["-A", local("poisoned_cache.ts"), file], { folder });
    assertEquals(poisoning.code, 0, poisoning.stderr);
    const { sound, ...poisons } = JSON.parse(poisoning.stdout) as Record<string, unknown[]>;
    assertEquals(sound!.length, 1);
    assert(Object.keys(poisons).length >= 17);
    for (const [name, taken] of Object.entries(poisons)) assertEquals(taken, [], name);
    const again = await tuneFaulty([...small, "--passes=backward"], folder);
    assertEquals(again.code, 3, again.stderr);
    assertEquals((await choicesIn(folder)).length, 1);
  },
);

testTune("openGpu() works without permission to read the cache", async (folder) => {
  const kept = await run(["-A", local("keep_choice.ts")], { folder });
  assertEquals(kept.code, 0, kept.stderr);
  assertEquals((await choicesIn(folder)).length, 1);
  const flags = ["--no-prompt", "--allow-env=XDG_RUNTIME_DIR"];
  assertEquals(await choicesIn(folder, { flags }), []);
  const readable = [...flags, "--allow-env=HOME,XDG_CACHE_HOME"];
  assertEquals(await choicesIn(folder, { flags: readable }), []);
}, installed ? [] : ["an installed driver: the embedded one must be read"]);

// At a terminal, Deno could prompt.
testTune("openGpu() never prompts for permissions at a terminal", async (folder) => {
  const kept = await run(["-A", local("keep_choice.ts")], { folder });
  assertEquals(kept.code, 0, kept.stderr);
  await Deno.writeTextFile(`${folder}/show.ts`, show);
  for (const [flags, found] of [["", 0], ["--allow-env", 0], ["--allow-env --allow-read", 1]]) {
    const command = `'${Deno.execPath()}' run --quiet --no-lock ${flags} '${folder}/show.ts'`;
    const { code, stdout } = await new Deno.Command("script", {
      args: ["-qec", command, "/dev/null"],
      env: { NO_COLOR: "1", XDG_CACHE_HOME: folder, DENO_DIR: denoFolder(), GRADSINK_TUNING: "on" },
      stdin: "null",
      signal: AbortSignal.timeout(20_000), // a prompt would wait for its answer
    }).output();
    const text = new TextDecoder().decode(stdout).trim();
    assertEquals([code, JSON.parse(text).length], [0, found], text);
  }
}, installed && await hasScript() ? [] : ["an installed driver, and the program script"]);

Deno.test("parseTune() refuses options that make no sense, in one line", () => {
  const wrong: [string, string][] = [
    ["--kernels=attention-v-scale-full", "it shares the choices of attention"],
    ["--kernels=attention-sink-logit", "it shares the choices of attention"],
    ["--kernels=attention-sink-statistics", "it has a single variant"],
    ["--kernels=atention", "did you mean attention?"],
    ["--budget=0", "--budget"],
    ["--budget=soon", "--budget"],
    ["--shapes=huge", "--shapes"],
    ["--variants=all", "unknown option"],
    ["now", "tune takes options only"],
  ];
  for (const [word, message] of wrong) {
    assertThrows(() => parseTune([word]), UsageError, message);
  }
  const request = parseTune(["--passes=forward", "--budget=5", "--dry-run"]);
  assert(request?.dryRun && request.selection.budget === 5);
  assertEquals(request.selection.passes, ["forward"]);
  assert(!request.selection.kernels.includes("attention-v-scale-full"));
});
