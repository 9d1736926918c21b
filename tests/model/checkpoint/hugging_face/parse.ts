/** Helpers for the tests of parseHuggingFaceConfig(), and a model of this project to parse. */
import { CheckpointError } from "../../../../src/model/checkpoint/error.ts";
import {
  huggingFaceConfig,
  parseHuggingFaceConfig,
} from "../../../../src/model/checkpoint/hugging_face.ts";
import type { Architecture } from "../../../../src/model/pretrained/architecture.ts";
import type { LlamaConfig } from "../../../../src/reference/llama/config.ts";
import { assert, assertThrows } from "../../../support/assert/assert.ts";
import { SMALL_LLAMA } from "../../../support/model/llama.ts";
import type { Fields } from "../../../support/model/configs.ts";

/** A model of this project. */
export const own: LlamaConfig = { ...SMALL_LLAMA, vScale: "learned" };
/** The fields of its config.json. */
export const ownFields: Fields = huggingFaceConfig(own, 9);

/** Parses `fields` as if they were the contents of a file `c.json`. */
export function parse(fields: Fields, context?: number): Architecture {
  return parseHuggingFaceConfig(JSON.stringify(fields), "c.json", { context });
}

/** Checks that the parser refuses `fields` with `message`, in one line that names the file. */
export function refused(fields: Fields, message: string, context?: number): void {
  const error = assertThrows(() => parse(fields, context), CheckpointError, message);
  assert(error.message.startsWith("c.json: "), error.message);
  assert(!error.message.includes("\n"), error.message);
}
