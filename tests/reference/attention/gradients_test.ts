/** Attention's gradients against finite differences and complex steps. */
import * as reference from "../../../src/reference/mod.ts";
import { differingBits } from "../../support/rows/identities.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { inner, norm } from "../../support/vectors.ts";
import {
  type AttentionDescription,
  attentionDescription,
  checkProperty,
  drawAttention,
  largestLogit,
  normal,
} from "../cases.ts";
import { SharpComparisons } from "../sharp_comparisons.ts";
import { run } from "./run.ts";

const { attentionForward, tensor } = reference;

Deno.test("attentionBackward() agrees with finite differences in random directions", () => {
  const pinned: AttentionDescription = {
    batch: 2,
    keyHeads: 2,
    group: 3,
    length: 7,
    headDim: 5,
    pattern: "sink",
    seed: 77,
    scale: undefined,
  };
  const comparisons = new SharpComparisons();
  checkProperty(attentionDescription, {
    seed: 102,
    runs: 300,
    examples: [pinned],
    check(description, tolerances) {
      const drawn = drawAttention(description);
      const { outputGradient, scale } = drawn;
      const at = {
        query: drawn.query,
        key: drawn.key,
        value: drawn.value,
        constant: drawn.constant,
      };
      for (const mode of [undefined, "full"] as const) {
        const gradients = run(drawn, mode);
        const loss = ({ constant, ...tensors }: typeof at) => {
          const vScale = mode && { constant, mode };
          return inner(
            attentionForward({ ...tensors, scale, vScale }).output.data,
            outputGradient.data,
          );
        };
        for (const name of ["query", "key", "value", "constant"] as const) {
          const gradient = gradients[`${name}Gradient`];
          if (gradient === undefined) {
            assertEquals([name, mode], ["constant", undefined]);
            continue;
          }
          const unscaled = normal(at[name].shape, { seed: description.seed + 9 });
          const longest = norm(unscaled.data);
          // A step of 1 along the direction moves values by a quarter of their size, or queries or
          // keys so far that logits change by about 1, or constants so little that they stay
          // positive.
          const size = norm(at[name].data) / longest /
            (name === "value" ? 4 : largestLogit(drawn));
          const reach = name === "constant" ? Math.min(...at.constant.data) / 40 : size;
          const direction = tensor(unscaled.data.map((x) => x * reach), unscaled.shape);
          const estimate = reference.directionalDerivative(loss, {
            at,
            direction: { [name]: direction },
            step: 1,
          });
          // `floor` bounds the loss's error from rounding in the twin. `compare` adds it to the
          // tolerance.
          const magnitude = norm(outputGradient.data) * norm(at.value.data);
          const floor = 2 ** -53 * (200 + description.headDim * largestLogit(drawn)) * magnitude;
          comparisons.compare(tolerances, {
            what: `${name}${mode ? ` (${mode})` : ""}`,
            gradient: gradient.data,
            direction: direction.data,
            estimate,
            floor,
            counts: description.length !== 1 && description.pattern !== "huge logits",
          });
        }
      }
    },
  });
  // With T = 1, or with huge logits that saturate the softmax, query and key gradients vanish. So
  // such cases do not count. There are 7 gradients, three without V-scale and four with it. For
  // each, most of the comparisons that count must detect an error of a millionth of the gradient.
  comparisons.assertSharp(7);
});

Deno.test("attentionBackward() in mode backward-only is the derivative of sg(v) + φ(v) − sg(φ(v))", () => {
  checkProperty(attentionDescription, {
    seed: 103,
    runs: 200,
    check(description, tolerances) {
      const drawn = drawAttention(description);
      const { value, constant, outputGradient } = drawn;
      const plain = run(drawn);
      const gradients = run(drawn, "backward-only");
      // In this mode V-scale does not change the forward pass, nor the gradients of query and key:
      // all have the same bits as without it.
      for (const name of ["output", "logSumExp", "queryGradient", "keyGradient"] as const) {
        assertEquals(differingBits(gradients[name].data, plain[name].data).worst, 0, name);
      }
      // The value's gradient is the one without V-scale, multiplied by J_φ(v), the Jacobian of φ.
      const throughValve = reference.vScaleBackward({
        value,
        constant,
        scaledValueGradient: plain.valueGradient,
      });
      assertEquals(gradients.valueGradient, throughValve.valueGradient);
      assertEquals(gradients.constantGradient, throughValve.constantGradient);
      // The gradients with respect to value and constant agree with finite differences. In mode
      // "backward-only" these gradients pass only through φ. So the loss attends to `moved`: the
      // drawn value plus the change of φ(v).
      const still = reference.vScaleForward({ value, constant }).scaledValue.data;
      const loss = (
        at: { value: reference.ReferenceTensor; constant: reference.ReferenceTensor },
      ) => {
        const { data } = reference.vScaleForward(at).scaledValue;
        const moved = tensor(data.map((x, i) => value.data[i]! + x - still[i]!), value.shape);
        return inner(attentionForward({ ...drawn, value: moved }).output.data, outputGradient.data);
      };
      const at = { value, constant };
      for (const name of ["value", "constant"] as const) {
        const unscaled = normal(at[name].shape, { seed: description.seed + 9 });
        const reach = name === "value"
          ? norm(value.data) / norm(unscaled.data) / 4
          : Math.min(...constant.data) / 40;
        const direction = tensor(unscaled.data.map((x) => x * reach), unscaled.shape);
        const estimate = reference.directionalDerivative(loss, {
          at,
          direction: { [name]: direction },
          step: 1,
        });
        const exact = inner(gradients[`${name}Gradient`]!.data, direction.data);
        const magnitude = norm(outputGradient.data) * norm(value.data);
        tolerances.within(Math.abs(estimate.value - exact), {
          tolerance: 10 * estimate.error + 2 ** -53 * 200 * magnitude,
          what: `${name} (backward-only)`,
        });
        assert(norm(gradients[`${name}Gradient`]!.data) > 0);
      }
    },
  });
});

Deno.test("attentionBackward() agrees with complex steps in the last row", () => {
  checkProperty(attentionDescription, {
    seed: 104,
    runs: 150,
    check(description, tolerances) {
      const { length, headDim, seed } = description;
      const drawn = drawAttention({ ...description, batch: 1, keyHeads: 1, group: 1 });
      const scale = drawn.scale ?? headDim ** -0.5;
      // Only the last row's output has a gradient, so the loss depends only on that row's softmax.
      const last = (length - 1) * headDim;
      drawn.outputGradient.data.fill(0, 0, last);
      const cotangent = drawn.outputGradient.data.subarray(last);
      const gradients = run(drawn);
      const tokens = (data: Float64Array) =>
        Array.from({ length }, (_, j) => data.subarray(j * headDim, (j + 1) * headDim));
      for (const name of ["query", "key", "value"] as const) {
        const direction = normal(drawn[name].shape, { seed: seed + 9 }).data;
        if (name === "query") direction.fill(0, 0, last);
        const derivative = reference.complexStepDerivative((h) => {
          const move = (other: "query" | "key" | "value") => {
            const directions = other === name ? tokens(direction) : [];
            return tokens(drawn[other].data).map((row, j) =>
              reference.moveComplex(row, { direction: directions[j], h })
            );
          };
          const output = reference.complexNumbers.attentionRow(move("query")[length - 1]!, {
            keys: move("key"),
            values: move("value"),
            scale,
          });
          return {
            re: 0,
            im: output.reduce((sum, y, i) => sum + y.im * cotangent[i]!, 0),
          };
        });
        const { query, key, value } = drawn;
        const size = name === "value"
          ? norm(direction)
          : 2 * Math.abs(scale) * norm(value.data) * norm(direction) *
            norm((name === "query" ? key : query).data);
        // Complex steps subtract no values of the loss from each other. So the only error is
        // rounding, which includes the logits' rounding, enlarged by exp.
        tolerances.within(
          Math.abs(derivative - inner(gradients[`${name}Gradient`].data, direction)),
          {
            tolerance: 2 ** -53 * (4 * length + headDim * (8 + largestLogit(drawn)) + 50) * size *
              norm(cotangent),
            what: name,
          },
        );
      }
    },
  });
});
