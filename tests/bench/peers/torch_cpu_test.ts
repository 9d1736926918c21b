import { compareOn } from "../../../bench/peers/compare.ts";
import { startTorch } from "../../../bench/peers/libraries/torch_cpu.ts";
import { inputsOf, TOLERANCE, type Work } from "../../../bench/peers/works.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

const rows: Work = {
  name: "small rows",
  operator: "rms-norm",
  pass: "forward+backward",
  dimensions: { rows: 40, d: 24 },
};
const known: readonly Work[] = [
  { ...rows, name: "rows", pass: "forward" },
  rows,
  {
    name: "attention",
    operator: "attention",
    pass: "forward",
    dimensions: { H: 2, T: 40, D: 8 },
  },
  {
    name: "attention, both passes",
    operator: "attention",
    pass: "forward+backward",
    dimensions: { H: 2, T: 40, D: 8 },
  },
];

const may = Deno.permissions.querySync({ name: "run" }).state === "granted";

async function answerOf(python: string): Promise<string> {
  const contender = await startTorch({ pythons: [python] });
  const reply = await contender.ready;
  await contender.close();
  return reply.type === "failed" ? reply.reason : reply.type;
}

Deno.test({
  name: "startTorch() says in one line why there is no torch",
  ignore: !may,
  async fn() {
    assertEquals(await answerOf("no-such-python"), "there is no no-such-python");
    // A program that is not Python fails on the script.
    const reason = await answerOf(Deno.execPath());
    assert(reason.startsWith("the process ended") && !reason.includes("\n"), reason);
  },
});

Deno.test({
  name: "startTorch() skips a Python without torch, and passes on a work's numbers",
  ignore: !may || Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "gradsink-torch-" });
    try {
      const without = `${folder}/without`;
      const made = `${folder}/made`;
      const script = (path: string, lines: readonly string[]) =>
        Deno.writeTextFile(path, ["#!/bin/sh", ...lines, ""].join("\n"), { mode: 0o700 });
      await script(without, [`echo '{"type":"failed","reason":"python3 has no torch"}'`]);
      await script(made, [
        `echo '{"type":"ready","versions":{"torch":"0"}}'`,
        `read -r request`,
        `echo "$request" > "${folder}/request"`,
        `echo '{"type":"prepared","ways":[]}'`,
      ]);
      assertEquals(await answerOf(without), "python3 has no torch");
      const contender = await startTorch({ pythons: [without, made] });
      assertEquals(await contender.ready, { type: "ready", versions: { torch: "0" } });
      const stretches = [{ output: "gainGradient", start: 0, length: 24 }];
      await contender.ask({ type: "prepare", work: rows, stretches });
      await contender.close();
      const { inputs, ...request } = JSON.parse(await Deno.readTextFile(`${folder}/request`));
      assertEquals(request, {
        type: "prepare",
        work: rows,
        stretches,
        epsilon: 1e-5,
      });
      const numbers = Object.entries(inputs as Record<string, string>).map(([name, text]) =>
        [name, new Float32Array(Uint8Array.fromBase64(text).buffer)] as const
      );
      assertEquals(Object.fromEntries(numbers), inputsOf(rows));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

async function lacking(): Promise<string | undefined> {
  if (!may) return "running it was not allowed";
  const contender = await startTorch();
  const reply = await contender.ready;
  await contender.close();
  return reply.type === "failed" ? reply.reason : undefined;
}

const reason = await lacking();

Deno.test({
  name: `PyTorch is correct in all its ways${reason === undefined ? "" : ` [${reason}]`}`,
  ignore: reason !== undefined,
  async fn() {
    const contender = await startTorch();
    for (const work of known) {
      let looks = 0;
      const { results } = await compareOn(work, [{ library: "torch-cpu", contender }], {
        budget: 1,
        seed: 1,
        now: () => looks++,
        interrupted: () => looks > 0, // ends once the answers are known; times do not matter here
      });
      assert(results.length > 0);
      for (const { way, status, reason, error } of results) {
        assertEquals(status, "ok", `${work.name} by ${way}: ${reason}`);
        assert(error! > 0 && error! < TOLERANCE / 10, `${work.name} by ${way}: ${error}`);
      }
    }
    await contender.close();
  },
});
