/** `--head` of `deno task sinks`: chooses a query head for the page's map of attention. */
import type { LlamaConfig } from "../../reference/llama/config.ts";
import type { HeadPlace } from "../../sinks/states/measurement.ts";
import { UsageError } from "../shared/arguments.ts";

/**
 * Reads the option.
 *
 * @throws {UsageError} if it names no head
 */
export function parseHead(text: string): HeadPlace {
  const [, layer, head] = /^(\d{1,4})\.(\d{1,4})$/.exec(text) ?? [];
  if (head === undefined) {
    throw new UsageError(`--head is ${JSON.stringify(text)}, wanted LAYER.HEAD such as 2.0`);
  }
  return { layer: Number(layer), head: Number(head) };
}

/**
 * Refuses a head that a model does not have.
 *
 * @throws {UsageError} if there is no such head, or its layer has no attention
 */
export function checkHead(
  head: HeadPlace | undefined,
  { layers, queryHeads, layersWithoutAttention }: LlamaConfig,
): void {
  if (head === undefined) return;
  const given = `--head is ${head.layer}.${head.head}`;
  if (head.layer >= layers || head.head >= queryHeads) {
    throw new UsageError(
      `${given}, but the model has layers 0 to ${layers - 1} with heads 0 to ${queryHeads - 1}`,
    );
  }
  if (layersWithoutAttention.includes(head.layer)) {
    throw new UsageError(`${given}, but layer ${head.layer} has no attention`);
  }
}
