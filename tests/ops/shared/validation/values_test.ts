/** Operators refuse numbers, head dimensions and constants that make no sense. */
import { attentionForward, attentionSinkStatistics, type Tensor } from "../../../../mod.ts";
import { assertEquals } from "../../../support/assert/assert.ts";
import { onEachRuntime } from "../../../support/gpu.ts";
import { free, make, makeAll, refused, shapes } from "./refused.ts";

type RefusedNumber = readonly [
  string,
  string,
  unknown,
  typeof TypeError | typeof RangeError,
  string,
];

onEachRuntime("attention refuses head dimensions that its kernels do not support", async (gpu) => {
  for (const headDim of [1, 6, 31, 257, 260, 512]) {
    for (const operator of ["attentionForward", "attentionBackward", "attentionSinkStatistics"]) {
      const args = Object.fromEntries(
        Object.entries(shapes[operator]!).map(([name, shape]) => [
          name,
          make(gpu, shape.length === 4 ? shape.with(3, headDim) : shape),
        ]),
      );
      refused(gpu, operator, {
        args,
        error: TypeError,
        words: ["query", `head dimension ${headDim}`, "wanted a multiple of 4 up to 256"],
      });
      free(args);
    }
  }
  for (const headDim of [4, 252, 256]) {
    const args = { query: make(gpu, [1, 1, 1, headDim]), key: make(gpu, [1, 1, 1, headDim]) };
    const results = attentionForward(gpu, { ...args, value: args.key });
    await results.output.read();
    free({ ...args, ...results });
  }
});

onEachRuntime("operators refuse numbers out of range", async (gpu) => {
  const finite = "wanted a finite number";
  const position = "wanted an integer from 0 to 2";
  const window = "wanted an integer of at least 1";
  const cases: readonly RefusedNumber[] = [
    ...["attentionForward", "attentionBackward", "attentionSinkStatistics"].flatMap<RefusedNumber>((
      operator,
    ) => ([
      [operator, "scale", NaN, RangeError, finite],
      [operator, "scale", Infinity, RangeError, finite],
      [operator, "scale", -Infinity, RangeError, finite],
      [operator, "scale", 1e39, RangeError, "wanted a number that float32 holds"],
      [operator, "scale", "1", TypeError, 'is "1", wanted a'],
      [operator, "scale", null, TypeError, "is null, wanted a finite number"],
    ] as const)),
    ["rmsNormForward", "epsilon", NaN, RangeError, finite],
    ["rmsNormForward", "epsilon", Infinity, RangeError, finite],
    ["rmsNormForward", "epsilon", -1e-9, RangeError, "wanted a finite number of at least 0"],
    ["rmsNormForward", "epsilon", 1e39, RangeError, "wanted a number that float32 holds"],
    ["rmsNormForward", "epsilon", "0", TypeError, 'is "0", wanted a'],
    ["attentionSinkStatistics", "position", -1, RangeError, position],
    ["attentionSinkStatistics", "position", 3, RangeError, position],
    ["attentionSinkStatistics", "position", 0.5, RangeError, position],
    ["attentionSinkStatistics", "position", NaN, RangeError, position],
    ["attentionSinkStatistics", "position", "1", TypeError, 'is "1", wanted a'],
    ["attentionSinkStatistics", "window", 0, RangeError, window],
    ["attentionSinkStatistics", "window", -64, RangeError, window],
    ["attentionSinkStatistics", "window", 1.5, RangeError, window],
    ["attentionSinkStatistics", "window", Infinity, RangeError, window],
    ["attentionSinkStatistics", "window", [], TypeError, "is object, wanted an integer"],
  ];
  for (const [operator, name, value, error, words] of cases) {
    const args = makeAll(gpu, operator);
    refused(gpu, operator, { args: { ...args, [name]: value }, error, words: [name, words] });
    free(args);
  }
  // Extreme values that are allowed.
  const args = makeAll(gpu, "attentionSinkStatistics") as Record<
    "query" | "key" | "logSumExp",
    Tensor
  >;
  const edge = attentionSinkStatistics(gpu, {
    ...args,
    position: 2,
    window: 2 ** 53 - 1,
    scale: 0,
  });
  assertEquals((await edge.mass.read()).length, 8);
  free({ ...args, ...edge });
});

onEachRuntime("V-scale refuses constants that are not positive, and unknown modes", async (gpu) => {
  for (const wrong of [0, -0, -1, NaN, Infinity, -Infinity]) {
    for (const operator of ["vScaleForward", "vScaleBackward"]) {
      const args = makeAll(gpu, operator);
      const constant = gpu.tensor([1, wrong], [2]);
      refused(gpu, operator, {
        args: { ...args, constant },
        error: RangeError,
        words: [`constant[1] is ${wrong}`, "wanted a positive finite number"],
      });
      free({ ...args, constant });
    }
    for (const operator of ["attentionForward", "attentionBackward"]) {
      for (const mode of ["full", "backward-only"]) {
        const args = makeAll(gpu, operator);
        const constant = gpu.tensor([wrong, 1], [2]);
        refused(gpu, operator, {
          args: { ...args, vScale: { constant, mode } },
          error: RangeError,
          words: [`vScale.constant[0] is ${wrong}`, "wanted a positive finite number"],
        });
        free({ ...args, constant });
      }
    }
  }
  for (const operator of ["attentionForward", "attentionBackward"]) {
    const args = makeAll(gpu, operator);
    const constant = gpu.tensor([1, 1], [2]);
    const short = gpu.tensor([1], [1]);
    const cases: readonly [unknown, typeof TypeError | typeof RangeError, string][] = [
      [{ constant, mode: "half" }, RangeError, 'vScale.mode is "half", wanted "full"'],
      [{ constant }, TypeError, 'vScale.mode is undefined, wanted "full"'],
      [{ mode: "full" }, TypeError, "vScale.constant is undefined, wanted a Tensor"],
      [{ constant: short, mode: "full" }, TypeError, "vScale.constant has shape [1], wanted [2]"],
      [null, TypeError, "vScale is null, wanted { constant, mode }"],
      ["full", TypeError, 'vScale is "full", wanted { constant, mode }'],
    ];
    for (const [vScale, error, words] of cases) {
      refused(gpu, operator, { args: { ...args, vScale }, error, words: [words] });
    }
    free({ ...args, constant, short });
  }
  await gpu.sync();
});
