/** Attention with V-scale where float32 does not hold the square of a value row. */
import { attentionBackward, attentionForward } from "../../../mod.ts";
import { assert } from "../../support/assert/assert.ts";
import { onEachRuntime, portableGpu } from "../../support/gpu.ts";
import { Arena } from "../../support/on_gpu.ts";

onEachRuntime(
  "a value row with a square beyond float32 makes NaN of what depends on it",
  async (parent) => {
    for (const gpu of [parent, portableGpu(parent)]) {
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
      const [query, value] = [arena.upload(rows(1)), arena.upload(rows(1e20))];
      const constant = arena.keep(gpu.tensor([1], [1]));
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
