import fc from "fast-check";
import * as reference from "../../src/reference/mod.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { inner, norm } from "../support/vectors.ts";
import { checkProperty, normal } from "./cases.ts";

const { matmul, tensor, zeros } = reference;

const description = fc.record({
  leading: fc.constantFrom<readonly number[]>([], [1], [3], [2, 2]),
  rows: fc.integer({ min: 1, max: 6 }),
  columns: fc.integer({ min: 1, max: 6 }),
  inner: fc.integer({ min: 1, max: 6 }),
  transposeLeft: fc.boolean(),
  transposeRight: fc.boolean(),
  shared: fc.boolean(),
  seed: fc.integer({ min: 0, max: 0x7fffffff }),
});
type Description = typeof description extends fc.Arbitrary<infer D> ? D : never;

function draw(drawn: Description) {
  const { leading, rows, columns, transposeLeft, transposeRight, shared, seed } = drawn;
  const left = [...leading, ...transposeLeft ? [drawn.inner, rows] : [rows, drawn.inner]];
  const right = [
    ...shared ? [] : leading,
    ...transposeRight ? [columns, drawn.inner] : [drawn.inner, columns],
  ];
  return {
    left: normal(left, { seed }),
    right: normal(right, { seed: seed + 1 }),
    transposeLeft,
    transposeRight,
  };
}

Deno.test("matmul() gives the values of a case worked by hand", () => {
  const left = tensor([1, 2, 3, 4, 5, 6], [3, 2]);
  const right = tensor([1, 0, -1, 2, 1, 0], [2, 3]);
  const expected = [5, 2, -1, 11, 4, -3, 17, 6, -5];
  assertEquals([...matmul({ left, right }).product.data], expected);
  const turnedLeft = tensor([1, 3, 5, 2, 4, 6], [2, 3]);
  const turnedRight = tensor([1, 2, 0, 1, -1, 0], [3, 2]);
  const turned = matmul({
    left: turnedLeft,
    right: turnedRight,
    transposeLeft: true,
    transposeRight: true,
  });
  assertEquals([...turned.product.data], expected);
});

Deno.test("matmul() shares a right operand without leading dimensions", () => {
  const left = tensor([1, 2, 3, 4], [2, 1, 2]);
  const right = tensor([1, 10], [2, 1]);
  const { product } = matmul({ left, right });
  assertEquals(product.shape, [2, 1, 1]);
  assertEquals([...product.data], [21, 43]);
});

Deno.test("gradients computed by matmul() agree with finite differences of matmul()", () => {
  checkProperty(description, {
    seed: 331,
    runs: 200,
    check(drawn, tolerances) {
      // The right operand is not shared, because the gradient of a shared one would sum over
      // batches.
      const { left, right } = draw({
        ...drawn,
        shared: false,
        transposeLeft: false,
        transposeRight: false,
      });
      const productGradient = normal([...drawn.leading, drawn.rows, drawn.columns], {
        seed: drawn.seed + 2,
      });
      const gradients = {
        left: matmul({ left: productGradient, right, transposeRight: true }).product,
        right: matmul({ left, right: productGradient, transposeLeft: true }).product,
      };
      const at = { left, right };
      const loss = (point: typeof at) => inner(matmul(point).product.data, productGradient.data);
      for (const name of ["left", "right"] as const) {
        const direction = normal(at[name].shape, { seed: drawn.seed + 3 });
        const estimate = reference.directionalDerivative(loss, {
          at,
          direction: { [name]: direction },
          step: 1,
        });
        const magnitude = norm(gradients[name].data) * norm(direction.data) +
          norm(productGradient.data) * norm(left.data) * norm(right.data);
        // The loss is linear in each operand, so the finite difference is exact up to rounding.
        const tolerance = 10 * estimate.error + 2 ** -53 * 100 * magnitude;
        tolerances.within(Math.abs(estimate.value - inner(gradients[name].data, direction.data)), {
          tolerance,
          what: name,
        });
        assert(tolerance < 1e-8 * magnitude, `${name}: tolerance ${tolerance} is no test`);
      }
    },
  });
});

Deno.test("matmul() gives the transposed product of transposed operands, bit for bit", () => {
  fc.assert(
    fc.property(description, (drawn) => {
      const operands = draw({ ...drawn, shared: false });
      const { rows, columns } = drawn;
      const { product } = matmul(operands);
      const turned = matmul({
        left: operands.right,
        right: operands.left,
        transposeLeft: !operands.transposeRight,
        transposeRight: !operands.transposeLeft,
      }).product;
      assertEquals(turned.shape, [...drawn.leading, columns, rows]);
      for (let i = 0; i < product.data.length; i++) {
        const [batch, cell] = [Math.floor(i / rows / columns), i % (rows * columns)];
        const [m, n] = [Math.floor(cell / columns), cell % columns];
        assertEquals(product.data[i], turned.data[batch * rows * columns + n * rows + m]);
      }
    }),
    { seed: 332, numRuns: 100 },
  );
});

Deno.test("matmul() names operands that do not fit", () => {
  const left = zeros([2, 3, 4]);
  const right = zeros([2, 4, 5]);
  const refuses = (changes: Record<string, unknown>, message: string) =>
    assertThrows(() => matmul({ left, right, ...changes }), TypeError, message);
  refuses({ left: undefined }, "matmul: left is undefined, wanted a tensor");
  refuses({ left: zeros([4]) }, "matmul: left has shape [4], wanted [M, K]");
  refuses({ right: zeros([4]) }, "matmul: right has shape [4], wanted [2, 4, N]");
  refuses({ right: zeros([3, 4, 5]) }, "wanted [2, 4, N] as left is [2, 3, 4]");
  refuses({ right: zeros([5, 4]) }, "matmul: right has shape [5, 4], wanted [4, N]");
  refuses({ transposeLeft: true }, "wanted [2, 3, N] as left is [2, 3, 4], transposed");
  refuses({ transposeRight: 0 }, "matmul: transposeRight is 0, wanted true or false");
  refuses({ right: { data: [], shape: [2, 4, 5] } }, "right.data is not a Float64Array");
});
