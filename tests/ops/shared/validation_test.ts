/**
 * Operators refuse wrong arguments before they make or enqueue anything. The error names the call.
 */
import {
  attentionBackward,
  attentionForward,
  attentionSinkStatistics,
  type Gpu,
  openGpu,
  rmsNormBackward,
  rmsNormForward,
  type Tensor,
  vScaleBackward,
  vScaleForward,
} from "../../../mod.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { onEachRuntime, siblingGpu } from "../../support/gpu.ts";

type Args = Readonly<Record<string, unknown>>;
type RefusedNumber = readonly [
  string,
  string,
  unknown,
  typeof TypeError | typeof RangeError,
  string,
];
type Operator = (gpu: Gpu, args: never) => object;

const operators: Readonly<Record<string, Operator>> = {
  attentionForward,
  attentionBackward,
  attentionSinkStatistics,
  rmsNormForward,
  rmsNormBackward,
  vScaleForward,
  vScaleBackward,
};

/** The shapes of every operator's tensor arguments. */
const shapes: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
  attentionForward: { query: [2, 4, 3, 8], key: [2, 2, 3, 8], value: [2, 2, 3, 8] },
  attentionBackward: {
    query: [2, 4, 3, 8],
    key: [2, 2, 3, 8],
    value: [2, 2, 3, 8],
    output: [2, 4, 3, 8],
    logSumExp: [2, 4, 3],
    outputGradient: [2, 4, 3, 8],
  },
  attentionSinkStatistics: { query: [2, 4, 3, 8], key: [2, 2, 3, 8], logSumExp: [2, 4, 3] },
  rmsNormForward: { input: [2, 3, 5], gain: [5] },
  rmsNormBackward: { input: [2, 3, 5], gain: [5], inverseRms: [2, 3], outputGradient: [2, 3, 5] },
  vScaleForward: { value: [2, 2, 3, 5], constant: [2] },
  vScaleBackward: { value: [2, 2, 3, 5], constant: [2], scaledValueGradient: [2, 2, 3, 5] },
};

function make(gpu: Gpu, shape: readonly number[]): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return gpu.tensor(new Float32Array(length).fill(0.5), shape);
}

function makeAll(gpu: Gpu, operator: string): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(shapes[operator]!).map(([name, shape]) => [name, make(gpu, shape)]),
  );
}

function free(args: Args): void {
  for (const value of Object.values(args)) (value as Partial<Tensor>)?.dispose?.();
}

/** Checks that an operator refuses a call with these words, makes nothing and enqueues nothing. */
function refused(
  gpu: Gpu,
  operator: string,
  { args, error, words, ...instead }: {
    readonly args: unknown;
    readonly error: typeof TypeError | typeof RangeError;
    readonly words: readonly string[];
    /** Passed in place of the Gpu. */
    readonly on?: unknown;
  },
): void {
  const on = "on" in instead ? instead.on : gpu;
  const before = gpu.memory;
  const { queue } = gpu.device;
  const { submit, writeBuffer } = queue;
  let enqueued = 0;
  queue.submit = queue.writeBuffer = () => void enqueued++;
  let thrown: unknown;
  try {
    operators[operator]!(on as Gpu, args as never);
  } catch (caught) {
    thrown = caught;
  } finally {
    queue.submit = submit;
    queue.writeBuffer = writeBuffer;
  }
  const call = `${operator}, wanted ${error.name} with ${words.join(" … ")}`;
  assert(thrown instanceof Error, `${call}: nothing was thrown`);
  assertEquals(thrown.constructor, error, `${call}: ${thrown.stack}`);
  for (const word of [`${operator}: `, ...words]) assertStringIncludes(thrown.message, word);
  assert(!thrown.message.endsWith("."), thrown.message);
  assertEquals(gpu.memory, before, `${call}: buffers were left`);
  assertEquals(enqueued, 0, `${call}: something was enqueued`);
}

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
        // These operators take their shapes from this argument, and no other argument contradicts
        // the new length.
        if (operator === "rmsNormForward" && name === "input" && other.at(-1) === 5) continue;
        if (operator === "vScaleForward" && other.length === 4 && other[1] === 2) continue;
        const tensor = make(gpu, other);
        // The error may blame this argument or the next one, depending on which comes first.
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

onEachRuntime("operators refuse more workgroups than a dimension holds", async (gpu) => {
  const narrow = siblingGpu(gpu, { limits: { maxComputeWorkgroupsPerDimension: 2 } });
  const attention = (query: readonly number[], heads: number) => ({
    query: make(narrow, query),
    key: make(narrow, query.with(1, heads)),
    value: make(narrow, query.with(1, heads)),
  });
  const cases: readonly [string, Args, string][] = [
    ["attentionForward", attention([1, 1, 65, 4], 1), "T needs 3 workgroups"],
    ["attentionForward", attention([1, 3, 2, 4], 1), "Hq needs 3 workgroups"],
    ["attentionForward", attention([3, 1, 2, 4], 1), "B needs 3 workgroups"],
    [
      "vScaleForward",
      { value: make(narrow, [1, 3, 1, 1]), constant: make(narrow, [3]) },
      "Hkv needs 3 workgroups",
    ],
    [
      "rmsNormBackward",
      {
        input: make(narrow, [1, 129]),
        gain: make(narrow, [129]),
        inverseRms: make(narrow, [1]),
        outputGradient: make(narrow, [1, 129]),
      },
      "d needs 3 workgroups",
    ],
  ];
  for (const [operator, args, words] of cases) {
    refused(narrow, operator, { args, error: RangeError, words: [words, "this adapter runs 2"] });
    free(args);
  }
  assertEquals(narrow.memory.buffers, 0);
  await narrow.sync();
});

onEachRuntime("operators refuse buffers over the adapter's limit", async (gpu) => {
  for (const limit of ["maxBufferSize", "maxStorageBufferBindingSize"]) {
    const small = siblingGpu(gpu, { limits: { [limit]: 400 } });
    // The tensors of 400 bytes fit; the backward's 8 bytes per row do not.
    const shape = [1, 1, 100, 1];
    const args = {
      value: make(small, shape),
      constant: make(small, [1]),
      scaledValueGradient: make(small, shape),
    };
    refused(small, "vScaleBackward", {
      args,
      error: RangeError,
      words: ["a buffer of 800 bytes is wanted, this adapter allows 400"],
    });
    free(args);
    assertEquals(small.memory.buffers, 0);
    await small.sync();
  }
});
