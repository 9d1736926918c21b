/**
 * Operators refuse wrong arguments before they make or enqueue anything. The error names the call.
 */
import { openGpu } from "../../../mod.ts";
import { onEachRuntime, siblingGpu } from "../../support/gpu.ts";
import {
  type Args,
  free,
  make,
  makeAll,
  operators,
  refused,
  shapes,
} from "./validation/refused.ts";

for (const operator of Object.keys(operators)) {
  onEachRuntime(`${operator}() refuses anything but a tensor of the same Gpu`, async (gpu) => {
    const args = makeAll(gpu, operator);
    const other = siblingGpu(gpu, {});
    free(operators[operator]!(gpu, args as never) as Args); // the unchanged arguments are valid
    for (const [name, shape] of Object.entries(shapes[operator]!)) {
      const disposed = make(gpu, shape);
      disposed.dispose();
      const foreign = make(other, shape);
      const wrong: readonly [unknown, string][] = [
        [undefined, `${name} is undefined, wanted a Tensor`],
        [null, `${name} is null, wanted a Tensor`],
        [new Float32Array(8), `${name} is object, wanted a Tensor`],
        [3, `${name} is number, wanted a Tensor`],
        [disposed, `${name} has been disposed of`],
        [foreign, `${name} belongs to another Gpu`],
      ];
      for (const [given, words] of wrong) {
        refused(gpu, operator, {
          args: { ...args, [name]: given },
          error: TypeError,
          words: [words],
        });
      }
      foreign.dispose();
    }
    free(args);
    await gpu.sync();
  });

  onEachRuntime(`${operator}() refuses tensors of other ranks and lengths`, async (gpu) => {
    const args = makeAll(gpu, operator);
    for (const [name, shape] of Object.entries(shapes[operator]!)) {
      const given = [
        [...shape, 1],
        [1, ...shape],
        ...shape.length > 1 ? [shape.slice(1)] : [],
        ...shape.map((size, i) => shape.with(i, size + 1)),
        ...shape.filter((size) => size > 1).map((size) =>
          shape.with(shape.indexOf(size), size - 1)
        ),
      ];
      for (const other of given) {
        // Skips shapes that the operator accepts: it takes its lengths from this argument, and no
        // other argument contradicts the new length.
        if (operator === "rmsNormForward" && name === "input" && other.at(-1) === 5) continue;
        if (operator === "vScaleForward" && other.length === 4 && other[1] === 2) continue;
        const tensor = make(gpu, other);
        // The error may blame this argument or another that no longer fits it, depending on the
        // order of the checks.
        refused(gpu, operator, {
          args: { ...args, [name]: tensor },
          error: TypeError,
          words: ["wanted"],
        });
        tensor.dispose();
      }
    }
    free(args);
    await gpu.sync();
  });

  onEachRuntime(
    `${operator}() refuses anything but an open Gpu, and missing arguments`,
    async (gpu) => {
      const args = makeAll(gpu, operator);
      const words = ["gpu is", "wanted an opened Gpu"];
      for (const on of [undefined, null, {}, gpu.device]) {
        refused(gpu, operator, { args, error: TypeError, words, on });
      }
      for (const nothing of [undefined, null, 7]) {
        refused(gpu, operator, {
          args: nothing,
          error: TypeError,
          words: [`the arguments are ${nothing}`, "wanted an object"],
        });
      }
      const closed = await openGpu({ runtime: gpu.info.runtime });
      closed.dispose();
      refused(gpu, operator, {
        args,
        error: TypeError,
        words: ["has been disposed of"],
        on: closed,
      });
      free(args);
      await gpu.sync();
    },
  );

  onEachRuntime(`${operator}() refuses variants that do not exist`, async (gpu) => {
    if (operator === "attentionSinkStatistics") return; // has only one variant
    const args = makeAll(gpu, operator);
    refused(gpu, operator, {
      args: { ...args, variant: "fastest" },
      error: RangeError,
      words: ['variant is "fastest"', '"portable"'],
    });
    free(args);
    await gpu.sync();
  });
}

onEachRuntime("operators name the argument, its shape and the wanted one", async (gpu) => {
  const cases: Readonly<Record<string, readonly (readonly [string, readonly number[], string])[]>> =
    {
      attentionForward: [
        ["query", [4, 3, 8], "[B, Hq, T, D]"],
        ["key", [2, 2, 4, 8], "[2, Hkv, 3, 8]"],
        ["key", [1, 2, 3, 8], "[2, Hkv, 3, 8]"],
        ["key", [2, 3, 3, 8], "a number of heads that divides the query's 4"],
        ["value", [2, 4, 3, 8], "[2, 2, 3, 8]"],
      ],
      attentionBackward: [
        ["output", [2, 4, 3, 4], "[2, 4, 3, 8]"],
        ["logSumExp", [2, 4, 4], "[2, 4, 3]"],
        ["outputGradient", [2, 2, 3, 8], "[2, 4, 3, 8]"],
      ],
      attentionSinkStatistics: [
        ["logSumExp", [2, 2, 3], "[2, 4, 3]"],
      ],
      rmsNormForward: [
        ["gain", [6], "[5]"],
      ],
      rmsNormBackward: [
        ["inverseRms", [6], "[2, 3]"],
        ["outputGradient", [2, 5, 3], "[2, 3, 5]"],
      ],
      vScaleForward: [
        ["value", [2, 3, 5], "[B, Hkv, T, D]"],
        ["constant", [3], "[2]"],
      ],
      vScaleBackward: [
        ["scaledValueGradient", [2, 2, 3, 6], "[2, 2, 3, 5]"],
      ],
    };
  for (const [operator, wrong] of Object.entries(cases)) {
    for (const [name, shape, wanted] of wrong) {
      const args = makeAll(gpu, operator);
      const tensor = make(gpu, shape);
      const words = [`${name} has shape [${shape.join(", ")}], wanted ${wanted}`];
      refused(gpu, operator, { args: { ...args, [name]: tensor }, error: TypeError, words });
      free({ ...args, tensor });
    }
  }
  await gpu.sync();
});
