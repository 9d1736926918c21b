import { attentionGateBackward, attentionGateForward, type Gpu } from "../../../../mod.ts";
import * as parts from "../../../../src/reference/llama/parts.ts";
import { assertEquals } from "../../assert/assert.ts";
import { toTwin } from "../../attention/cases.ts";
import { drawUniform } from "../../model/cases.ts";
import type { Report } from "../../report.ts";
import { FLUSH, U } from "../../tolerance.ts";
import { account, numbersOf } from "./account.ts";

/** For each case: rows, gates per row, elements per gate, and the logits' scale. */
const SHAPES = [
  [13, 3, 8, 4],
  [9, 2, 5, 30],
  [70, 5, 1, 4],
  [3, 8, 1, 300],
  [2, 1, 12, 1],
] as const;

/**
 * Forward and backward agree with the twin for gates per head and gates per element. Some logits
 * are so large that the logistic function σ saturates; its slope σ(x) σ(−x) must keep its digits
 * there. A NaN logit turns the results of its own gate into NaN, and no others.
 */
export function attentionGateMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "attention gate vs twin", async function* (arena, tally) {
    for (const [rows, gates, width, scale] of SHAPES) {
      const input = drawUniform({ seed: rows, shape: [rows, gates * width] });
      const logits = drawUniform({ seed: 2, shape: [rows, gates], scale });
      const outputGradient = drawUniform({ seed: 3, shape: [rows, gates * width] });
      const given = { input: arena.upload(input), logits: arena.upload(logits) };
      const twin = { input: toTwin(input), logits: toTwin(logits) };
      const logit = (i: number) => Math.abs(logits.data[Math.floor(i / width)]!);
      // σ takes a sum, a division and an exponential, whose error grows with its argument.
      const relative = (x: number) => U * (2 * (3 + 2 * x) + 10);
      const forward = attentionGateForward(gpu, given);
      const expected = parts.attentionGateForward(twin);
      tally.within("attentionGateForward's output", {
        actual: await numbersOf(arena, forward.output),
        expected: expected.output.data,
        bound: expected.output.data.map((y, i) => relative(logit(i)) * Math.abs(y) + FLUSH),
      });
      tally.within("attentionGateForward's opening", {
        actual: await numbersOf(arena, forward.opening),
        expected: expected.opening.data,
        bound: expected.opening.data.map((o, i) => relative(logit(i * width)) * o + FLUSH),
      });
      const backward = attentionGateBackward(gpu, {
        ...given,
        outputGradient: arena.upload(outputGradient),
      });
      const gradients = parts.attentionGateBackward({
        ...twin,
        outputGradient: toTwin(outputGradient),
      });
      tally.within("attentionGateBackward's inputGradient", {
        actual: await numbersOf(arena, backward.inputGradient),
        expected: gradients.inputGradient.data,
        bound: gradients.inputGradient.data.map((g, i) => relative(logit(i)) * Math.abs(g) + FLUSH),
      });
      tally.within("attentionGateBackward's logitsGradient", {
        actual: await numbersOf(arena, backward.logitsGradient),
        expected: gradients.logitsGradient.data,
        bound: gradients.logitsGradient.data.map((_, gate) => {
          const x = Math.abs(logits.data[gate]!);
          const slope = 1 / (1 + Math.exp(x)) / (1 + Math.exp(-x));
          let terms = 0;
          for (let i = gate * width; i < (gate + 1) * width; i++) {
            terms += Math.abs(outputGradient.data[i]! * input.data[i]!);
          }
          return (2 * relative(x) + (width + 3) * U) * slope * terms + 2 * width * FLUSH;
        }),
      });
      yield;
    }
    const broken = { data: Float32Array.of(0, NaN, Infinity, -Infinity), shape: [1, 4] };
    const two = { data: new Float32Array(8).fill(2), shape: [1, 8] };
    const given = { input: arena.upload(two), logits: arena.upload(broken) };
    const { output, opening } = attentionGateForward(gpu, given);
    assertEquals([...await numbersOf(arena, output)], [1, 1, NaN, NaN, 2, 2, 0, 0]);
    assertEquals([...await numbersOf(arena, opening)], [0.5, NaN, 1, 0]);
    const { inputGradient, logitsGradient } = attentionGateBackward(gpu, {
      ...given,
      outputGradient: arena.upload(two),
    });
    assertEquals([...await numbersOf(arena, inputGradient)], [1, 1, NaN, NaN, 2, 2, 0, 0]);
    assertEquals([...await numbersOf(arena, logitsGradient)], [2, NaN, 0, 0]);
    yield;
  });
}
