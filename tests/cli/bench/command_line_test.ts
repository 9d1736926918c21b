/** What `deno task bench` refuses before any work. */
import { bench } from "../../../src/cli/bench.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { recordOutput } from "../record_output.ts";
import { testBench } from "./processes.ts";

testBench("bench() refuses a wrong command line in one line, before any work", async (folder) => {
  const existing = `${folder}/there.json`;
  await Deno.writeTextFile(existing, "kept");
  const wrong: readonly [args: string[], code: number, text: string][] = [
    [["--kernel=rms-norm"], 2, "--kernels"],
    [["--kernels=rmsnorm"], 2, "rms-norm"],
    [["--kernels="], 2, "--kernels"],
    [["--kernels=rms-norm,,v-scale"], 2, "empty"],
    [["--passes=sideways"], 2, "forward, backward"],
    [["--kernels=attention-sink-statistics", "--passes=backward"], 2, "nothing"],
    [["--shapes=huge"], 2, "huge"],
    [["--shapes=quick,paper-1b"], 2, "mixes"],
    [["--dtypes=f64"], 2, "f32"],
    [["--dtypes=f16+f32"], 2, "--variants names others"],
    [["--dtypes=f32", "--variants=tiled-f16"], 2, "compute in f16+f32"],
    [["--kernels=rms-norm", "--variants=tiled-f16"], 2, "tiled-f16"],
    [["--cache=warm"], 2, "hot, cold"],
    [["--variants=fast"], 2, "portable"],
    [["--kernels=v-scale", "--variants=portable,all"], 2, "all"],
    [["--runtime=node"], 2, "deno, dawn"],
    [["--software=maybe"], 2, "auto, always, never"],
    [["--budget=0"], 2, "--budget"],
    [["--budget=soon"], 2, "--budget"],
    [["--seed=1.5"], 2, "--seed"],
    [["--label=\u001b[2J"], 2, "--label"],
    [["surplus"], 2, "surplus"],
    [[`--out=${existing}`], 2, "exists already"],
    [[`--out=${folder}`], 1, "is a folder"],
    [[`--out=${existing}/b.json`], 1, "there.json"],
    [["--shapes=quik"], 2, "did you mean quick?"],
    [["--shape=B1,H8,T0,D64"], 2, "attention B Hq Hkv T D"],
    [["--shape=rows8,d8", "--shapes=quick"], 2, "--shape and --shapes are both given"],
    [[`--resume=${folder}/missing.json`], 1, "no such file or folder"],
    [[`--resume=${existing}`], 1, "there.json"],
    [[`--resume=${folder}`], 1, "is a folder"],
  ];
  // This measuring process cannot start, so `bench` must refuse each command line before it tries.
  const child = { command: `${folder}/nothing`, args: [] };
  for (const [args, code, text] of wrong) {
    const output = recordOutput();
    assertEquals(await bench(args, { child, output }), code, args.join(" "));
    const { out, err } = output.texts;
    assertEquals(out, "");
    // deno-lint-ignore no-control-regex
    assert(/^[^\n\u001b]+\n$/.test(err), `${args.join(" ")}: ${err}`);
    assertStringIncludes(err, text);
  }
  assertEquals(await Deno.readTextFile(existing), "kept");
  assertEquals([...Deno.readDirSync(folder)].length, 1, "nothing else was left behind");
});

testBench("bench() says in one line why it cannot start", async (folder) => {
  const output = recordOutput();
  const child = { command: Deno.execPath(), args: ["eval", "Deno.exit(7)"] };
  assertEquals(await bench([`--out=${folder}/a.json`], { child, output }), 1);
  const { err } = output.texts;
  assert(/^bench: .*code 7.*\n$/.test(err), err);
  assertEquals([...Deno.readDirSync(folder)].length, 0);
});
