/** Attention with V-scale where the square of a value row overflows or underflows float32. */
import { attentionBackward, attentionForward, reference } from "../../../mod.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { onEachRuntime, portableGpu } from "../../support/gpu.ts";
import { Arena } from "../../support/on_gpu.ts";

onEachRuntime(
  "a value row whose square, or the sum with C, overflows float32 spoils all results that depend on it",
  async (parent) => {
    const overflows = [[1e20, 1], [4.5e18, 3e38]] as const; // ‖v‖² is 1e41 and 2e38
    for (
      const [gpu, [size, c]] of overflows.flatMap((each) =>
        [parent, portableGpu(parent)].map((gpu) => [gpu, each] as const)
      )
    ) {
      using arena = new Arena(gpu);
      const [length, headDim] = [3, 8];
      const shape = [1, 1, length, headDim];
      const rows = (size: number) => ({
        data: Float32Array.from(
          { length: length * headDim },
          (_, i) => (i < headDim ? size : 1) * (1 + Math.sin(i) / 2),
        ),
        shape,
      });
      const [query, value] = [arena.upload(rows(1)), arena.upload(rows(size))];
      const constant = arena.keep(gpu.tensor([c], [1]));
      const options = { query, key: query, value, vScale: { constant, mode: "full" as const } };
      const forward = attentionForward(gpu, options);
      const backward = attentionBackward(gpu, { ...options, ...forward, outputGradient: query });
      const read = await arena.results({ ...forward, ...backward });
      for (const name of ["output", "valueGradient", "constantGradient"] as const) {
        const depends = name === "valueGradient" ? headDim : read[name]!.data.length;
        assert(
          read[name]!.data.subarray(0, depends).every((x) => !Number.isFinite(x)),
          `${name}: ${read[name]!.data}`,
        );
      }
    }
  },
);

/** A query and a value of three rows. The value's row 0 is about `size`, all other rows about 1. */
function smallRow(size: number) {
  const [length, headDim] = [3, 8];
  const rows = (first: number) => ({
    data: Float32Array.from(
      { length: length * headDim },
      (_, i) => (i < headDim ? first : 1) * (1 + Math.sin(i) / 2),
    ),
    shape: [1, 1, length, headDim],
  });
  return { query: rows(1), value: rows(size), headDim };
}

onEachRuntime(
  "a value row whose square float32 just holds passes V-scale as in the twin, and a smaller one is NaN",
  async (parent) => {
    for (const gpu of [parent, portableGpu(parent)]) {
      for (
        const [size, constant] of [[1e-16, 1e-31], [3e-18, 1e-34], [1.05e-19, 1e-36], [1e-20, 1]]
      ) {
        using arena = new Arena(gpu);
        const { query, value, headDim } = smallRow(size!);
        const exact = {
          query: reference.tensor(query.data, query.shape),
          key: reference.tensor(query.data, query.shape),
          value: reference.tensor(value.data, value.shape),
          vScale: {
            constant: reference.tensor([Math.fround(constant!)], [1]),
            mode: "full" as const,
          },
        };
        const twin = reference.attentionForward(exact);
        const gradients = reference.attentionBackward({
          ...exact,
          ...twin,
          outputGradient: exact.query,
        });
        const operands = { query: arena.upload(query), key: arena.upload(query) };
        const options = {
          ...operands,
          value: arena.upload(value),
          vScale: { constant: arena.keep(gpu.tensor([constant!], [1])), mode: "full" as const },
        };
        const forward = attentionForward(gpu, options);
        const backward = attentionBackward(gpu, {
          ...options,
          ...forward,
          outputGradient: operands.query,
        });
        const read = await arena.results({ ...forward, ...backward });
        // Query 0 attends to row 0 alone.
        const own = (data: ArrayLike<number>) => Array.from(data).slice(0, headDim);
        const found = [own(read.output!.data), own(read.valueGradient!.data)];
        if (size === 1e-20) {
          assert(found.flat().every(Number.isNaN), `${found}`);
          continue;
        }
        for (
          const [i, wanted] of [own(twin.output.data), own(gradients.valueGradient.data)].entries()
        ) {
          // φ needs a sum of D = 8 squares; J_φ also needs an inner product of 8 terms. Each term
          // is rounded a few times.
          const largest = Math.max(...wanted.map(Math.abs));
          const worst = Math.max(...wanted.map((each, j) => Math.abs(each - found[i]![j]!)));
          assert(worst <= 64 * 2 ** -24 * largest, `${size} ${constant}: ${worst} of ${largest}`);
        }
      }
    }
  },
);

onEachRuntime("a value row of zeros passes V-scale as zeros", async (gpu) => {
  using arena = new Arena(gpu);
  const { query, value, headDim } = smallRow(0);
  const operands = { query: arena.upload(query), key: arena.upload(query) };
  const constant = arena.keep(gpu.tensor([1], [1]));
  const { output } = attentionForward(gpu, {
    ...operands,
    value: arena.upload(value),
    vScale: { constant, mode: "full" },
  });
  const read = await arena.results({ output });
  assertEquals([...read.output!.data.subarray(0, headDim)], new Array(headDim).fill(0));
});
