/** The command line of `deno task sinks`, and how --context and --batch divide a text. */
import { join } from "node:path";
import { runSinks } from "../../../src/cli/sinks.ts";
import { parseSinks, sinksHelp } from "../../../src/cli/sinks/options.ts";
import { UsageError } from "../../../src/cli/shared/arguments.ts";
import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "../../support/assert/assert.ts";
import { recordOutput } from "../record_output.ts";
import { testWith } from "../../support/permitted.ts";
import { inFolder } from "../../support/folder.ts";
import { lendGpu, run } from "./run.ts";
import { makeRun, settings } from "./trained_run.ts";

const test = testWith("read", "write");

Deno.test("parseSinks() refuses options that make no sense", () => {
  const cases = [
    [[], "no model is given"],
    [["a", "b"], 'unexpected "b": sinks takes one model'],
    [["a", "--step=-1"], '--step is "-1", wanted an integer of at least 0'],
    [["a", "--batches=0"], '--batches is "0", wanted an integer of at least 1'],
    [["a", "--batch=x"], '--batch is "x", wanted an integer of at least 1'],
    [["a", "--window=1e3"], '--window is "1e3", wanted an integer of at least 1'],
    [["a", "--threshold=1.5"], '--threshold is "1.5", wanted a number from 0 to 1'],
    [["a", "--threshold=much"], '--threshold is "much", wanted a number from 0 to 1'],
    [["a", "--quantization"], "unknown option"],
    [["a", "--head=2"], '--head is "2", wanted LAYER.HEAD such as 2.0'],
    [["a", "--split=test"], '--split is "test", wanted validation, training'],
  ] as const;
  for (const [args, message] of cases) assertThrows(() => parseSinks(args), UsageError, message);
  assertEquals(parseSinks(["--help"]), undefined);
  assertStringIncludes(sinksHelp(), "deno task sinks [OPTIONS] MODEL");
});

test("sinks limits the context to the checkpoint's, and counts each context of a text once", () =>
  inFolder(async (folder) => {
    const bytes = { ...settings, model: { ...settings.model, vocabulary: 256 } };
    const path = join(folder, "run");
    await makeRun(path, [1], bytes);
    const alone = join(folder, "alone");
    await Deno.rename(join(path, "checkpoints", "step-00000001"), alone);
    const config = JSON.parse(await Deno.readTextFile(join(alone, "config.json")));
    await Deno.writeTextFile(
      join(alone, "config.json"),
      JSON.stringify({ ...config, max_position_embeddings: 131_072 }),
    );
    const corpus = join(folder, "text");
    await Deno.writeTextFile(corpus, "To be, or not to be, that is the question. ".repeat(60));
    const options = [alone, `--corpus=${corpus}`, "--json", "--no-quantization", "--no-theory"];
    // 2,580 bytes of text hold two contexts of 1,024 tokens. One of the two is for validation.
    const plain = await run(...options, "--batches=2");
    assertEquals(plain.code, 0, plain.err);
    const usual = JSON.parse(plain.out).data;
    assertEquals([usual.context, usual.sequences], [1024, 1]);
    assertStringIncludes(
      plain.err,
      "measured on 1 sequences and not on 16: the text has 1 of 1024 tokens for validation",
    );
    // The text has 257 contexts of 10 tokens, 12 of them for validation.
    const short = await run(...options, "--context=10", "--batch=8", "--batches=1");
    assertEquals([short.code, JSON.parse(short.out).data.sequences], [0, 8]);
    // The measurement records the first sequence's tokens, and how the strongest head attends to
    // them.
    const { firstText, channels, maps } = JSON.parse(short.out).states;
    assertEquals(firstText.tokens.length, 10);
    assert(firstText.tokens.every((token: string) => "To␣be,rnthaisqu.".includes(token)));
    assertEquals(maps[0].size, 10);
    assertEquals(channels.dimensions.length, Math.min(16, settings.model.modelDim));
    const asked = await run(...options, "--context=10", "--batch=8", "--batches=1", "--head=0.0");
    assertEquals(JSON.parse(asked.out).states.maps[0].why, "the head asked for");
    const none = await run(...options, "--context=10", "--head=9.0");
    assertEquals([none.code, none.out], [2, ""]);
    assertStringIncludes(none.err, "--head is 9.0, but the model has layers 0 to");
    assert(!short.err.includes("measured on"), short.err);
    const many = await run(...options, "--context=10", "--batch=5", "--batches=4");
    assertEquals([many.code, JSON.parse(many.out).data.sequences], [0, 10]);
    const long = await run(...options, "--context=131073");
    assertEquals([long.code, long.out], [1, ""]);
    assertStringIncludes(long.err, "wanted at most the 131072 tokens that the model was made for");
    const lacking = await run(...options, "--context=4096");
    assertStringIncludes(lacking.err, "a smaller --context needs less");
    // 80 tokens, each with 256 logits, take 80 KiB, more than this GPU's largest buffer of 64 KiB.
    const output = recordOutput();
    const small = await lendGpu({ limits: { maxBufferSize: 2 ** 16 } });
    const code = await runSinks([...options, "--context=10", "--batch=8", "--batches=1"], {
      ...output,
      openGpu: () => Promise.resolve(small),
    });
    assertEquals([code, output.texts.out], [2, ""]);
    assertStringIncludes(output.texts.err, "8 sequences of 10 tokens take 1 MiB in one tensor");
    assertStringIncludes(output.texts.err, "give a smaller --batch or --context");
  }));
