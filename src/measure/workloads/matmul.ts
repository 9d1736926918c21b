/** The workload of the matrix product. */
import type { Gpu } from "../../gpu/gpu.ts";
import { randomNormal } from "../../random.ts";
import { type Sample, samplePlaces } from "./samples.ts";
import type { Prepared, PrepareOptions } from "../workloads.ts";

/**
 * Prepares a matrix product of normal numbers.
 *
 * @param gpu the GPU
 * @param options lengths `{ B, M, N, K, transposeLeft?, transposeRight? }`, seed, implementation
 */
export function prepareMatmul(
  gpu: Gpu,
  { dimensions, seed, implementation, keep }: PrepareOptions,
): Prepared {
  const { B, M, N, K } = dimensions as { B: number; M: number; N: number; K: number };
  const transposeLeft = dimensions.transposeLeft === 1;
  const transposeRight = dimensions.transposeRight === 1;
  const numbers = {
    left: randomNormal({ seed: 8 * seed, length: B * M * K }),
    right: randomNormal({ seed: 8 * seed + 1, length: B * K * N }),
  };
  const { plan, product } = implementation.matmul(gpu, {
    left: keep(gpu.tensor(numbers.left, transposeLeft ? [B, K, M] : [B, M, K])),
    right: keep(gpu.tensor(numbers.right, transposeRight ? [B, N, K] : [B, K, N])),
    transposeLeft,
    transposeRight,
  });
  const [outerLeft, innerLeft] = transposeLeft ? [1, M] : [K, 1];
  const [outerRight, innerRight] = transposeRight ? [K, 1] : [1, N];
  return {
    plan,
    outputs: { product },
    tolerance: 1e-5,
    // Whole rows: what belongs to another column, or another tile, shows.
    samples: (read): Sample[] =>
      samplePlaces({ heads: B, length: M }, { seed }).map(({ head, position }) => {
        const wanted = new Float64Array(N);
        const squares = new Float64Array(N);
        for (let k = 0; k < K; k++) {
          const factor = numbers.left[head * M * K + position * outerLeft + k * innerLeft]!;
          const start = head * K * N + k * innerRight;
          for (let n = 0; n < N; n++) {
            const term = factor * numbers.right[start + n * outerRight]!;
            wanted[n]! += term;
            squares[n]! += term ** 2;
          }
        }
        const start = (head * M + position) * N;
        // Added up as random numbers are: a row of few columns may be small by chance, its rounding errors are not.
        const magnitude = Math.sqrt(Math.max(...squares));
        return {
          output: "product",
          actual: read.product!.subarray(start, start + N),
          wanted,
          magnitude,
        };
      }),
  };
}
