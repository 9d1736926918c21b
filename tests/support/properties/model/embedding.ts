import { embeddingBackward, embeddingForward, embeddingOrder, type Gpu } from "../../../../mod.ts";
import * as parts from "../../../../src/reference/llama/parts.ts";
import { toTwin } from "../../attention/cases.ts";
import { drawTokens, drawUniform, elementwise } from "../../model/cases.ts";
import type { Report } from "../../report.ts";
import { U } from "../../tolerance.ts";
import { account, numbersOf } from "./account.ts";

/** Embedding copies rows; its gradient sums the rows of outputGradient by token. */
export function embeddingMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "embedding vs twin", async function* (arena, tally) {
    for (const [columns, vocabulary, places] of [[12, 5, 69], [7, 40, 33], [4, 1, 3]] as const) {
      const tokens = drawTokens({ seed: columns, length: places, vocabulary });
      const table = drawUniform({ seed: 1, shape: [vocabulary, columns] });
      const outputGradient = drawUniform({ seed: 2, shape: [places, columns] });
      const { order, starts } = embeddingOrder(tokens, vocabulary);
      const { output } = embeddingForward(gpu, {
        tokens: arena.upload({ data: Float32Array.from(tokens), shape: [places] }),
        table: arena.upload(table),
      });
      tally.sameBits("embeddingForward", {
        actual: await numbersOf(arena, output),
        expected: parts.embed(toTwin(table), tokens).data,
      });
      const { tableGradient } = embeddingBackward(gpu, {
        order: arena.upload({ data: order, shape: [places] }),
        starts: arena.upload({ data: starts, shape: [vocabulary + 1] }),
        outputGradient: arena.upload(outputGradient),
      });
      const sums = [outputGradient, elementwise(outputGradient, Math.abs)].map((numbers) => {
        const total = toTwin({ data: new Float32Array(vocabulary * columns), shape: table.shape });
        parts.embedBackward(total, { tokens, outputGradient: toTwin(numbers) });
        return total.data;
      }) as [Float64Array, Float64Array];
      tally.within("embeddingBackward", {
        actual: await numbersOf(arena, tableGradient),
        expected: sums[0],
        bound: sums[1].map((size) => places * U * size),
      });
      yield;
    }
  });
}
