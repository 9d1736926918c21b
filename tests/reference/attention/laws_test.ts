/** Laws of attention: shared key heads, causality, and a shift of all keys. */
import * as reference from "../../../src/reference/mod.ts";
import { differingBits } from "../../support/rows/identities.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { distance, inner, norm } from "../../support/vectors.ts";
import {
  attentionDescription,
  checkProperty,
  drawAttention,
  largestLogit,
  normal,
} from "../cases.ts";
import { run } from "./run.ts";

const { attentionForward, tensor } = reference;

Deno.test("attentionForward() and attentionBackward() treat shared key heads like repeated ones", () => {
  checkProperty(attentionDescription, {
    seed: 105,
    runs: 100,
    check(description, tolerances) {
      const { batch, keyHeads, group, length, headDim } = description;
      const drawn = drawAttention(description);
      const block = length * headDim;
      const repeat = ({ data }: reference.ReferenceTensor) => {
        const repeated = reference.zeros([batch, keyHeads * group, length, headDim]);
        for (let head = 0; head < batch * keyHeads * group; head++) {
          const from = Math.floor(head / group) * block;
          repeated.data.set(data.subarray(from, from + block), head * block);
        }
        return repeated;
      };
      const shared = run(drawn);
      const separate = run({ ...drawn, key: repeat(drawn.key), value: repeat(drawn.value) });
      for (const name of ["output", "logSumExp", "queryGradient"] as const) {
        assertEquals(shared[name], separate[name], name);
      }
      for (const name of ["keyGradient", "valueGradient"] as const) {
        const sum = new Float64Array(shared[name].data.length);
        separate[name].data.forEach((x, i) => {
          sum[Math.floor(i / (block * group)) * block + i % block]! += x;
        });
        // `shared` and `sum` add the same terms in different orders. `largest` bounds each term.
        const largest = norm(drawn.outputGradient.data) *
          (name === "valueGradient"
            ? 1
            : 2 * Math.abs(drawn.scale ?? headDim ** -0.5) * norm(drawn.value.data) *
              norm(drawn.query.data));
        tolerances.within(distance(shared[name].data, sum), {
          tolerance: 2 ** -53 * length * group * largest,
          what: name,
        });
      }
    },
  });
});

Deno.test("attentionForward() and attentionBackward() are causal bit for bit", () => {
  let cases = 0, reached = 0;
  checkProperty(attentionDescription, {
    seed: 106,
    runs: 150,
    check(description) {
      const drawn = drawAttention(description);
      const { length, headDim } = description;
      const before = run(drawn, "full");
      const changed = drawAttention(description);
      const from = Math.floor(length / 2) + 1;
      const later = (i: number) => Math.floor(i / headDim) % length >= from;
      for (const { data } of [changed.key, changed.value]) {
        data.forEach((x, i) => data[i] = later(i) ? 3 * x + 1 : x);
      }
      const after = run(changed, "full");
      const early = ({ data, shape }: reference.ReferenceTensor) =>
        data.filter((_, i) => Math.floor(i / (shape.length === 4 ? headDim : 1)) % length < from);
      for (const name of ["output", "logSumExp", "queryGradient"] as const) {
        assertEquals(differingBits(early(after[name]), early(before[name])).worst, 0, name);
      }
      cases += from < length ? 1 : 0;
      reached += differingBits(after.output.data, before.output.data).worst;
    },
  });
  // The change of keys and values must change the output of later rows, except in the few cases in
  // which all weight of these rows lies on unchanged keys.
  assert(
    cases > 50 && reached > 0.9 * cases,
    `it reached the later rows in ${reached} of ${cases}`,
  );
});

Deno.test("attentionForward() does not change under a shift of all keys", () => {
  checkProperty(attentionDescription, {
    seed: 107,
    runs: 150,
    check(description, tolerances) {
      const drawn = drawAttention(description);
      const { headDim, seed, keyHeads, group, length } = description;
      const shift = normal([headDim], { seed: seed + 9, size: 3 }).data;
      const key = tensor(drawn.key.data.map((x, i) => x + shift[i % headDim]!), drawn.key.shape);
      const before = attentionForward(drawn);
      const after = attentionForward({ ...drawn, key });
      const scale = drawn.scale ?? headDim ** -0.5;
      const logit = largestLogit({ ...drawn, key }) + largestLogit(drawn) + 1;
      const tolerance = 2 ** -53 * headDim * 8 * (logit + length + 10);
      tolerances.within(distance(after.output.data, before.output.data), {
        tolerance: tolerance * norm(drawn.value.data) * Math.sqrt(keyHeads * group * length),
        what: "output",
      });
      before.logSumExp.data.forEach((lse, row) => {
        const moved = scale * inner(
          drawn.query.data.subarray(row * headDim, (row + 1) * headDim),
          shift,
        );
        tolerances.within(Math.abs(after.logSumExp.data[row]! - lse - moved), {
          tolerance,
          what: "logSumExp",
        });
      });
    },
  });
});
