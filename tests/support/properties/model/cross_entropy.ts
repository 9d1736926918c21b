import { crossEntropyBackward, crossEntropyForward, type Gpu } from "../../../../mod.ts";
import { drawTokens, drawUniform } from "../../model/cases.ts";
import type { Report } from "../../report.ts";
import { FLUSH, U } from "../../tolerance.ts";
import { account, numbersOf } from "./account.ts";

/** The slices of the vocabulary in the third case. */
const SLICES = [[0, 101], [101, 300]] as const;

/**
 * Cross-entropy's forward and backward agree with float64. The second case's logits overflow exp
 * unless the maximum is subtracted. The third case also runs in slices of the vocabulary.
 */
export function crossEntropyMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "crossEntropy vs twin", async function* (arena, tally) {
    for (const [rows, columns, scale] of [[11, 70, 3], [5, 9, 2000], [9, 300, 10]] as const) {
      const logits = drawUniform({ seed: rows, shape: [rows, columns], scale });
      logits.data[columns + 3] = 1.5 * scale; // row 1's maximum is its fourth number
      const targets = drawTokens({ seed: 3, length: rows, vocabulary: columns });
      targets[0] = columns - 1;
      const options = {
        logits: arena.upload(logits),
        targets: arena.upload({ data: Float32Array.from(targets), shape: [rows] }),
      };
      const { loss, logSumExp } = crossEntropyForward(gpu, options);
      const expected = Array.from({ length: rows }, (_, row) => {
        const z = Float64Array.from(logits.data.subarray(row * columns, (row + 1) * columns));
        const maximum = z.reduce((a, b) => Math.max(a, b));
        const all = maximum + Math.log(z.reduce((a, b) => a + Math.exp(b - maximum), 0));
        return { all, loss: all - z[targets[row]!]! };
      });
      // The bound adds the errors of the sum's additions and exponentials, of log, and of two
      // differences. Terms far below the maximum add hardly any error.
      const bound = expected.map(() => U * (columns / 4 + 16 + 4 * 8 + 6 * scale) + 2 ** -21);
      tally.within("crossEntropyForward's logSumExp", {
        actual: await numbersOf(arena, logSumExp),
        expected: expected.map(({ all }) => all),
        bound,
      });
      tally.within("crossEntropyForward's loss", {
        actual: await numbersOf(arena, loss),
        expected: expected.map(({ loss }) => loss),
        bound,
      });
      const factor = 0.25;
      const given = Float32Array.from(expected, ({ all }) => all);
      const { logitsGradient } = crossEntropyBackward(gpu, {
        ...options,
        logSumExp: arena.upload({ data: given, shape: [rows] }),
        factor,
      });
      const gradient = new Float64Array(logits.data.length);
      const allowed = new Float64Array(logits.data.length);
      for (let i = 0; i < gradient.length; i++) {
        const row = Math.floor(i / columns);
        const argument = logits.data[i]! - given[row]!;
        const share = Math.exp(argument);
        gradient[i] = factor * (share - (i % columns === targets[row] ? 1 : 0));
        allowed[i] = U * factor * (share * (10 + 5 * Math.abs(argument)) + 3) + FLUSH;
      }
      tally.within("crossEntropyBackward", {
        actual: await numbersOf(arena, logitsGradient),
        expected: gradient,
        bound: allowed,
      });
      for (const [first, end] of columns === 300 ? SLICES : []) {
        const width = end - first;
        const cut = <Data extends Float32Array | Float64Array>(whole: Data): Data =>
          whole.filter((_, i) => i % columns >= first && i % columns < end) as Data;
        const slice = { data: cut(logits.data), shape: [rows, width] };
        const own = { logits: arena.upload(slice), targets: options.targets, firstColumn: first };
        const part = crossEntropyForward(gpu, own);
        const all = Array.from(
          { length: rows },
          (_, row) =>
            Math.log(
              slice.data.subarray(row * width, (row + 1) * width)
                .reduce((sum, z) => sum + Math.exp(z), 0),
            ),
        );
        tally.within("crossEntropyForward's logSumExp of a slice", {
          actual: await numbersOf(arena, part.logSumExp),
          expected: all,
          bound,
        });
        tally.within("crossEntropyForward's loss of a slice", {
          actual: await numbersOf(arena, part.loss),
          expected: all.map((each, row) => {
            const target = targets[row]!;
            const inside = target >= first && target < end;
            return each - (inside ? logits.data[row * columns + target]! : 0);
          }),
          bound,
        });
        const back = crossEntropyBackward(gpu, {
          ...own,
          logSumExp: arena.upload({ data: given, shape: [rows] }),
          factor,
        });
        tally.within("crossEntropyBackward of a slice", {
          actual: await numbersOf(arena, back.logitsGradient),
          expected: cut(gradient),
          bound: cut(allowed),
        });
      }
      yield;
    }
  });
}
