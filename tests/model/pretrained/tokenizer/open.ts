/** Opens the tokenizers of fixtures/tokenizers/, and changed copies of them. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openTokenizer, type Tokenizer } from "../../../../src/model/pretrained/tokenizer.ts";

/** The folder that has one tokenizer for each family of models. */
export const FIXTURES = fileURLToPath(new URL("../../../../fixtures/tokenizers/", import.meta.url));

/** What a model's config.json says about tokens. */
export interface Named {
  readonly vocabulary?: number;
  readonly beginToken?: number;
  readonly endTokens?: readonly number[];
}

/** Opens the tokenizer in `folder`, for a model whose config.json says this about tokens. */
export function open(
  folder: string,
  { vocabulary = 400, beginToken, endTokens = [] }: Named = {},
): Promise<Tokenizer> {
  return openTokenizer(folder, { architecture: { config: { vocabulary }, beginToken, endTokens } });
}

/** Copies a fixture to `folder` with changed fields. A field changed to undefined is left out. */
export async function copy(
  folder: string,
  family: string,
  change: Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>,
): Promise<void> {
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    const text = await Deno.readTextFile(join(FIXTURES, family, name));
    const fields = JSON.stringify({ ...JSON.parse(text), ...change[name] });
    await Deno.writeTextFile(join(folder, name), fields);
  }
}
