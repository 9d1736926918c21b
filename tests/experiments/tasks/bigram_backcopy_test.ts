import { gammaln } from "simple-statistics";
import { BigramBackcopy, BOS } from "../../../src/experiments/tasks/bigram_backcopy.ts";
import {
  type BigramTable,
  countedBigramTable,
  integerWeights,
  syntheticBigramTable,
  WEIGHT_SUM,
} from "../../../src/experiments/tasks/bigram_table.ts";
import { RandomStream } from "../../../src/experiments/tasks/random_stream.ts";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "../../support/assert/assert.ts";

const table = syntheticBigramTable({ characters: 31, seed: 5 });

function rowOf({ characters, rows }: BigramTable, a: number): Uint32Array {
  return rows.subarray(a * characters, (a + 1) * characters);
}

function sum(values: Uint32Array): number {
  return values.reduce((total, value) => total + value, 0);
}

Deno.test("syntheticBigramTable() draws rows around the unigram, which differ more with less concentration", () => {
  const distances = [0.3, 3, 3000].map((concentration) => {
    const drawn = syntheticBigramTable({ characters: 31, seed: 9, concentration });
    let total = 0;
    for (let a = 0; a < 31; a++) {
      assertEquals(sum(rowOf(drawn, a)), WEIGHT_SUM);
      rowOf(drawn, a).forEach((weight, b) => total += Math.abs(weight - drawn.unigram[b]!));
    }
    return total / 31 / WEIGHT_SUM;
  });
  assertEquals(sum(table.unigram), WEIGHT_SUM);
  // A character's share in a row has the distribution Beta(a, b) with a = cπ and b = c(1 − π),
  // where π is the character's unigram share and c the concentration. Its mean absolute deviation
  // is 2 aᵃ bᵇ / (B(a, b) (a + b)^(a + b + 1)). The mean of 31 rows differs from that by a few
  // percent.
  for (const [i, c] of [0.3, 3, 3000].entries()) {
    let wanted = 0;
    for (const weight of table.unigram) {
      const [a, b] = [c * weight / WEIGHT_SUM, c * (1 - weight / WEIGHT_SUM)];
      const logBeta = gammaln(a) + gammaln(b) - gammaln(c);
      wanted += 2 *
        Math.exp(a * Math.log(a) + b * Math.log(b) - logBeta - (c + 1) * Math.log(c));
    }
    assert(Math.abs(distances[i]! / wanted - 1) < 0.12, `${distances[i]} against ${wanted}`);
  }
});

Deno.test("syntheticBigramTable() has rows whose mean is the unigram", () => {
  const characters = 400;
  const many = syntheticBigramTable({ characters, seed: 2 });
  for (let b = 0; b < 4; b++) {
    const share = many.unigram[b]! / WEIGHT_SUM;
    let mean = 0;
    for (let a = 0; a < characters; a++) {
      mean += many.rows[a * characters + b]! / WEIGHT_SUM / characters;
    }
    // A row's share has the variance π(1 − π)/(c + 1) with c = 3. The limit is five standard errors
    // of the mean over 400 rows.
    const error = Math.sqrt(share * (1 - share) / 4 / characters);
    assert(Math.abs(mean - share) < 5 * error, `${b}: ${mean} against ${share} ± ${error}`);
  }
});

Deno.test("countedBigramTable() counts pairs of characters", () => {
  const counted = countedBigramTable({ text: "abababac", characters: 3 });
  assertEquals(counted.characters, 3);
  assertEquals([...counted.unigram], [4, 3, 1].map((count) => count * WEIGHT_SUM / 8));
  // "a" is followed by "b" three times and by "c" once; "b" always by "a". "c" occurs only at the
  // end, so any character may follow.
  assertEquals([...rowOf(counted, 0)], [0, 0.75 * WEIGHT_SUM, 0.25 * WEIGHT_SUM]);
  assertEquals([...rowOf(counted, 1)], [WEIGHT_SUM, 0, 0]);
  assertEquals([...rowOf(counted, 2)], [...counted.unigram]);
  // With 2 characters, "b" and "c" count as one character, which is as frequent as "a".
  assertEquals([...countedBigramTable({ text: "abababac", characters: 2 }).unigram], [
    WEIGHT_SUM / 2,
    WEIGHT_SUM / 2,
  ]);
  assertThrows(() => countedBigramTable({ text: "aaa", characters: 9 }), RangeError, "1 different");
});

Deno.test("integerWeights() adds up exactly, with an error below one in each weight", () => {
  for (let seed = 0; seed < 50; seed++) {
    const stream = new RandomStream([seed]);
    const weights = Float64Array.from({ length: 1 + seed }, () => stream.uniform() ** 8);
    const integers = integerWeights(weights);
    const total = weights.reduce((all, weight) => all + weight, 0);
    assertEquals(sum(integers), WEIGHT_SUM);
    integers.forEach((integer, i) =>
      assert(Math.abs(integer - weights[i]! / total * WEIGHT_SUM) < 1, `seed ${seed}, ${i}`)
    );
  }
});

Deno.test("BigramBackcopy copies after triggers, and never puts two triggers side by side", () => {
  const task = new BigramBackcopy({ table, context: 50, seed: 3 });
  let copies = 0;
  for (let step = 0; step < 20; step++) {
    const { batch, context, inputs, targets } = task.batch(step, { batch: 16 });
    for (let row = 0; row < batch; row++) {
      const sequence = [...inputs.subarray(row * context, (row + 1) * context)];
      assertEquals(
        [...targets.subarray(row * context, (row + 1) * context - 1)],
        sequence.slice(1),
      );
      sequence.push(targets[(row + 1) * context - 1]!);
      assertEquals(sequence[0], BOS);
      assert(!task.isTrigger(sequence[1]!), "a trigger at the beginning");
      for (let t = 1; t <= context; t++) {
        assert(sequence[t]! > BOS && sequence[t]! < task.vocabulary, `token ${sequence[t]}`);
        if (t < 2 || !task.isTrigger(sequence[t - 1]!)) continue;
        assertEquals(sequence[t], sequence[t - 2]);
        assert(!task.isTrigger(sequence[t]!), "two triggers side by side");
        copies++;
      }
    }
  }
  assert(copies > 2000, `${copies} copies`);
});

Deno.test("BigramBackcopy draws from the table", () => {
  const task = new BigramBackcopy({ table, context: 64, seed: 4 });
  const { characters } = table;
  const counts = new Float64Array(characters * characters);
  for (let step = 0; step < 60; step++) {
    const { inputs, targets } = task.batch(step, { batch: 32 });
    inputs.forEach((token, i) => {
      if (token === BOS || task.isTrigger(token)) return;
      counts[(token - 1) * characters + targets[i]! - 1]! += 1;
    });
  }
  let compared = 0;
  let squares = 0;
  let degrees = 0;
  for (let a = 3; a < characters; a++) {
    const row = counts.subarray(a * characters, (a + 1) * characters);
    const total = row.reduce((all, count) => all + count, 0);
    let cells = 0;
    row.forEach((count, b) => {
      const expected = total * rowOf(table, a)[b]! / WEIGHT_SUM;
      if (expected === 0) assertEquals(count, 0);
      if (expected < 5) return;
      squares += (count - expected) ** 2 / expected;
      cells++;
    });
    degrees += Math.max(0, cells - 1);
    compared += cells;
  }
  assert(compared > 100, `${compared} cells`);
  // Pearson's statistic has mean `degrees` and variance 2 · `degrees`. Leaving out cells with an
  // expected count below 5 raises the mean by at most one per row. The limit is five standard
  // deviations.
  assert(squares < degrees + characters + 5 * Math.sqrt(2 * degrees), `${squares} of ${degrees}`);
  assert(squares > degrees - characters - 5 * Math.sqrt(2 * degrees), `${squares} of ${degrees}`);
});

Deno.test("BigramBackcopy.expectedOracleLoss() is the limit of batches' oracle losses", () => {
  const task = new BigramBackcopy({ table, context: 40, seed: 6 });
  const losses = Array.from(
    { length: 60 },
    (_, step) => task.oracleLoss(task.batch(step, { batch: 32 })),
  );
  const mean = losses.reduce((total, loss) => total + loss, 0) / losses.length;
  const variance = losses.reduce((total, loss) => total + (loss - mean) ** 2, 0) /
    (losses.length - 1);
  const error = Math.sqrt(variance / losses.length);
  const expected = task.expectedOracleLoss();
  assert(Math.abs(mean - expected) < 4 * error, `${mean} ± ${error} against ${expected}`);
  assert(error < 0.02 * expected, `an error of ${error} shows nothing`);
});

Deno.test("BigramBackcopy.oracleLoss() is the mean of −log p over a sequence's tokens", () => {
  // A task that can be computed by hand: two ordinary characters, and one that is the trigger.
  const quarter = WEIGHT_SUM / 4;
  const small: BigramTable = {
    characters: 3,
    unigram: Uint32Array.of(2 * quarter, quarter, quarter),
    rows: Uint32Array.of(
      0,
      WEIGHT_SUM,
      0,
      quarter,
      quarter,
      2 * quarter,
      2 * quarter,
      0,
      2 * quarter,
    ),
  };
  const task = new BigramBackcopy({ table: small, context: 4, triggers: 1, seed: 0 });
  // Token 1 is the trigger. The probabilities are 1/2 for BOS → 2, because two characters are
  // ordinary; 1/4 for 2 → 1; 1 for 1 → 2; and 1/2 for 2 → 3.
  const batch = {
    batch: 1,
    context: 4,
    inputs: Uint32Array.of(0, 2, 1, 2),
    targets: Uint32Array.of(2, 1, 2, 3),
  };
  assert(Math.abs(task.oracleLoss(batch) - (4 * Math.LN2) / 4) < 1e-15);
  assertEquals([...task.idleQueries(batch)], [0, 1, 0, 1]);
  assertEquals(task.oracleLoss({ ...batch, targets: Uint32Array.of(2, 1, 3, 3) }), Infinity);
});

Deno.test("BigramBackcopy.batch() depends on seed, split and step alone", () => {
  const make = (seed: number) => new BigramBackcopy({ table, context: 20, seed });
  const task = make(1);
  for (let step = 0; step < 5; step++) task.batch(step, { batch: 3 });
  assertEquals(task.batch(7, { batch: 3 }), make(1).batch(7, { batch: 3 }));
  const others = [
    make(2).batch(7, { batch: 3 }),
    task.batch(8, { batch: 3 }),
    task.batch(7, { batch: 3, split: "validation" }),
  ];
  for (const other of others) assertNotEquals(other.inputs, task.batch(7, { batch: 3 }).inputs);
});

Deno.test("BigramBackcopy refuses impossible tasks", () => {
  assertThrows(
    () => new BigramBackcopy({ table, context: 1, seed: 0 }),
    RangeError,
    "context is 1",
  );
  assertThrows(
    () => new BigramBackcopy({ table, context: 8, triggers: 31, seed: 0 }),
    RangeError,
    "triggers is 31",
  );
  const task = new BigramBackcopy({ table, context: 8, seed: 0 });
  assertThrows(() => task.batch(-1, { batch: 1 }), RangeError, "step is -1");
  assertThrows(() => task.batch(0, { batch: 0 }), RangeError, "batch is 0");
  assertThrows(
    () => syntheticBigramTable({ characters: 1, seed: 0 }),
    RangeError,
    "characters is 1",
  );
  assertThrows(
    () => syntheticBigramTable({ characters: 9, seed: 0, concentration: 0 }),
    RangeError,
    "concentration is 0",
  );
  assertThrows(() => syntheticBigramTable({ characters: 9, seed: -1 }), RangeError, "holds -1");
});
