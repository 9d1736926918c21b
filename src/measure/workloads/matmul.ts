/** The matrix product as a measured operator. */
import type { Gpu } from "../../gpu/gpu.ts";
import { planMatmul } from "../../ops/matmul.ts";
import { randomNormal } from "../../random.ts";
import { type GridName, type GridShape, measured, quarter } from "./operator.ts";
import type { Prepared, PrepareOptions } from "./prepare.ts";
import { type Sample, samplePlaces } from "./samples.ts";

/** The lengths of a matrix product. `transpose…` is 1 if that operand is stored transposed. */
interface MatmulLengths {
  readonly B: number;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly transposeLeft?: number;
  readonly transposeRight?: number;
}

type Product = GridShape<MatmulLengths>;

// The three products of a linear layer on T tokens: the forward pass, with the weight
// [outputs, inputs] transposed; the input's gradient; and the weight's gradient.
function layer(
  name: string,
  { T, inputs, outputs }: Readonly<Record<"T" | "inputs" | "outputs", number>>,
  [forward, inputGradient, weightGradient]: readonly [GridName, GridName, GridName],
): Product[] {
  const B = 1;
  return [{
    grid: forward,
    name,
    dimensions: { B, M: T, N: outputs, K: inputs, transposeRight: 1 },
  }, {
    grid: inputGradient,
    name: `${name}-input-gradient`,
    dimensions: { B, M: T, N: inputs, K: outputs },
  }, {
    grid: weightGradient,
    name: `${name}-weight-gradient`,
    dimensions: { B, M: outputs, N: inputs, K: T, transposeLeft: 1 },
  }];
}

function square(grid: GridName, length: number, batches = 1): Product {
  const dimensions = { B: batches, M: length, N: length, K: length };
  return { grid, name: `square-${length}${batches === 1 ? "" : `-b${batches}`}`, dimensions };
}

function thin(grid: GridName, length: number): Product[] {
  return [
    { grid, name: `row-${length}`, dimensions: { B: 1, M: 1, N: length, K: length } },
    { grid, name: `column-${length}`, dimensions: { B: 1, M: length, N: 1, K: length } },
  ];
}

// The gate and up projections of pretrained models' SwiGLU, as one matrix: the forward pass, and
// the input's gradient.
function gateAndUp(model: "smollm2-135m" | "qwen3-0.6b", T: number): Product[] {
  const [inputs, outputs] = { "smollm2-135m": [576, 3072], "qwen3-0.6b": [1024, 6144] }[model] as [
    number,
    number,
  ];
  return layer(`${model}-gate-up-t${T}`, { T, inputs, outputs }, ["full", "full", "full"])
    .filter(({ name }) => !name.endsWith("-weight-gradient"));
}

const hardwareMatmul: readonly Product[] = [
  square("quick", 2048),
  ...layer("paper-0.1b-up", { T: 8192, inputs: 512, outputs: 1408 }, ["default", "full", "full"]),
  ...gateAndUp("smollm2-135m", 2048),
  ...gateAndUp("qwen3-0.6b", 2048),
  square("full", 4096),
  square("full", 512),
];

const softwareMatmul: readonly Product[] = [
  square("quick", 512),
  ...layer("small-up", { T: 2048, inputs: 128, outputs: 352 }, ["default", "default", "default"]),
  ...layer("small-down", { T: 2048, inputs: 352, outputs: 128 }, ["full", "full", "full"]),
  ...gateAndUp("smollm2-135m", 128),
  ...gateAndUp("qwen3-0.6b", 128),
  square("full", 256),
  // The remaining shapes are pairs. The lengths of one shape fill tiles. Its partner's lengths
  // differ by 1, so they do not fill tiles. 513 and 511 are partners of the 512 above.
  square("default", 513),
  square("full", 511),
  ...layer("slim-up", { T: 2048, inputs: 128, outputs: 96 }, ["full", "full", "full"]),
  ...layer("odd-slim-up", { T: 2049, inputs: 129, outputs: 97 }, ["full", "full", "full"]),
  square("full", 32, 64),
  square("full", 33, 64),
  square("full", 64, 64),
  square("full", 63, 64),
  ...thin("full", 1024),
  ...thin("full", 1023),
];

/** The matrix product. */
export const matmul = measured({
  passes: {
    forward: {
      operator: "matmul",
      plan: planMatmul,
      prepare,
      roughWork: ({ B, M, N, K }: MatmulLengths) =>
        B * Math.max(2 * M * N * K, 4 * (M * K + K * N + M * N)),
    },
  },
  shapes: (software) => software ? softwareMatmul : hardwareMatmul,
  smaller: (dimensions) => quarter(dimensions, { M: 64, N: 64, K: 64 }),
});

function prepare(
  gpu: Gpu,
  { dimensions, seed, plan: planCall, keep }: PrepareOptions<MatmulLengths, typeof planMatmul>,
): Prepared {
  const { B, M, N, K } = dimensions;
  const transposeLeft = dimensions.transposeLeft === 1;
  const transposeRight = dimensions.transposeRight === 1;
  const numbers = {
    left: randomNormal({ seed: 8 * seed, length: B * M * K }),
    right: randomNormal({ seed: 8 * seed + 1, length: B * K * N }),
  };
  const { plan, product } = planCall(gpu, {
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
    // Check whole rows, so numbers from a wrong column or tile show.
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
        // The scale of the rounding errors. In a row with few columns, all numbers may be small by
        // chance, but their rounding errors are not.
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
