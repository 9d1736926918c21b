/** A pretrained model in a folder, with text, for tests of `deno task sinks`. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inFolder } from "../../support/folder.ts";
import { CONFIGS } from "../../support/model/configs.ts";
import { writeModel } from "../../support/model/pretrained.ts";

const FIXTURES = fileURLToPath(new URL("../../../fixtures/tokenizers/", import.meta.url));
/** A sentence, which {@linkcode withModel} repeats. */
export const SENTENCE = "It was the best of times, it was the worst of times. ";
/** The fields of the model's config.json. */
export const fields = { ...CONFIGS.qwen3Of5, vocab_size: 320 };

/**
 * The paths of a folder, and of the model's folder and the text file in it. `at` returns the path
 * of a file of the model.
 */
export interface Scene {
  readonly folder: string;
  readonly model: string;
  readonly corpus: string;
  readonly at: (name: string) => string;
}

/** Runs a test with a model in two files, its tokenizer, and text. */
export function withModel(run: (scene: Scene) => Promise<void>): Promise<void> {
  return inFolder(async (folder) => {
    const [model, corpus] = [join(folder, "model"), join(folder, "text.txt")];
    await writeModel(model, fields, { type: "BF16", shards: 2 });
    for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
      await Deno.copyFile(join(FIXTURES, "llama3", name), join(model, name));
    }
    await Deno.writeTextFile(corpus, SENTENCE.repeat(20));
    await run({ folder, model, corpus, at: (name) => join(model, name) });
  });
}
