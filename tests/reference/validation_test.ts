/** Every operator's error names the operator, the argument, the given value and the wanted one. */
import * as reference from "../../src/reference/mod.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { normal } from "./cases.ts";

const { tensor, zeros } = reference;

const query = normal([2, 6, 8, 4], { seed: 1 });
const key = normal([2, 3, 8, 4], { seed: 2 });
const value = normal([2, 3, 8, 4], { seed: 3 });
const outputGradient = normal([2, 6, 8, 4], { seed: 4 });
const constant = tensor([1, 2, 3], [3]);
const forward = reference.attentionForward({ query, key, value });
const attention = { query, key, value, ...forward, outputGradient };
const norms = { input: normal([5, 4], { seed: 5 }), gain: normal([4], { seed: 6 }) };
const { inverseRms } = reference.rmsNormForward(norms);

function attend(
  operator:
    | "attentionForward"
    | "attentionBackward"
    | "attentionWeights"
    | "attentionSinkStatistics",
  changes: Record<string, unknown>,
): () => unknown {
  const options = { ...attention, ...changes } as unknown as reference.AttentionBackwardOptions;
  return () => reference[operator](options);
}

const OPERATORS = [
  "attentionForward",
  "attentionBackward",
  "attentionWeights",
  "attentionSinkStatistics",
] as const;

Deno.test("all attention operators check query, key and scale", () => {
  for (const operator of OPERATORS) {
    attend(operator, {})();
    const cases: [Record<string, unknown>, typeof TypeError | typeof RangeError, string][] = [
      [{ query: zeros([6, 8, 4]) }, TypeError, "query has shape [6, 8, 4], wanted [B, Hq, T, D]"],
      [{ query: undefined }, TypeError, "query is undefined, wanted a tensor"],
      [{ key: null }, TypeError, "key is null, wanted a tensor"],
      [
        { key: zeros([2, 3, 8, 5]) },
        TypeError,
        "key has shape [2, 3, 8, 5], wanted [2, Hkv, 8, 4] as query is [2, 6, 8, 4]",
      ],
      [{ key: zeros([2, 3, 7, 4]) }, TypeError, "wanted [2, Hkv, 8, 4]"],
      [{ key: zeros([1, 3, 8, 4]) }, TypeError, "wanted [2, Hkv, 8, 4]"],
      [
        { key: zeros([2, 4, 8, 4]) },
        TypeError,
        "key has shape [2, 4, 8, 4], wanted a number of heads that divides the query's 6",
      ],
      [
        { query: { data: new Float64Array(), shape: [2, 6, 0, 4] } },
        TypeError,
        "wanted [B, Hq, T, D]",
      ],
      [
        { query: { ...query, data: Float32Array.from(query.data) } },
        TypeError,
        "query.data is not",
      ],
      [
        { key: { ...key, data: key.data.subarray(1) } },
        TypeError,
        "key.data has 191 elements, wanted 192 as its shape is [2, 3, 8, 4]",
      ],
      [{ scale: NaN }, RangeError, "scale is NaN, wanted a finite number"],
      [{ scale: Infinity }, RangeError, "scale is Infinity, wanted a finite number"],
      [{ scale: "1" }, TypeError, 'scale is "1", wanted a finite number'],
    ];
    for (const [changes, errorClass, message] of cases) {
      const error = assertThrows(attend(operator, changes), errorClass, message);
      assert(error.message.startsWith(`${operator}: `), error.message);
      assert(!error.message.endsWith("."), error.message);
    }
  }
});

Deno.test("attentionForward() and attentionBackward() check value and V-scale", () => {
  const withConstant = (data: number[]) => ({
    vScale: { constant: tensor(data, [3]), mode: "full" },
  });
  for (const operator of ["attentionForward", "attentionBackward"] as const) {
    attend(operator, { vScale: undefined })();
    attend(operator, withConstant([1, 1e-300, 1e300]))();
    const cases: [Record<string, unknown>, typeof TypeError | typeof RangeError, string][] = [
      [
        { value: zeros([2, 6, 8, 4]) },
        TypeError,
        "value has shape [2, 6, 8, 4], wanted [2, 3, 8, 4] as key is [2, 3, 8, 4]",
      ],
      [{ value: undefined }, TypeError, "value is undefined, wanted a tensor"],
      [
        { vScale: { constant: zeros([6]), mode: "full" } },
        TypeError,
        "vScale.constant has shape [6], wanted [3] as key is [2, 3, 8, 4]",
      ],
      [{ vScale: { mode: "full" } }, TypeError, "vScale.constant is undefined, wanted a tensor"],
      [
        { vScale: { constant, mode: "both" } },
        RangeError,
        'vScale.mode is "both", wanted "full" or "backward-only"',
      ],
      [{ vScale: { constant } }, TypeError, "vScale.mode is undefined, wanted"],
      [{ vScale: "full" }, TypeError, 'vScale is "full", wanted { constant, mode }'],
      [{ vScale: null }, TypeError, "vScale is null, wanted { constant, mode }"],
      [
        withConstant([1, 0, 1]),
        RangeError,
        "vScale.constant[1] is 0, wanted a positive finite number",
      ],
      [withConstant([-1, 1, 1]), RangeError, "vScale.constant[0] is -1"],
      [withConstant([1, 1, NaN]), RangeError, "vScale.constant[2] is NaN"],
      [withConstant([1, 1, Infinity]), RangeError, "vScale.constant[2] is Infinity"],
    ];
    for (const [changes, errorClass, message] of cases) {
      assertThrows(attend(operator, changes), errorClass, `${operator}: ${message}`);
    }
  }
});

Deno.test("attentionBackward() and attentionSinkStatistics() check the forward's results", () => {
  for (const argument of ["output", "outputGradient"]) {
    assertThrows(
      attend("attentionBackward", { [argument]: zeros([2, 3, 8, 4]) }),
      TypeError,
      `attentionBackward: ${argument} has shape [2, 3, 8, 4], wanted [2, 6, 8, 4] as query is [2, 6, 8, 4]`,
    );
  }
  for (const operator of ["attentionBackward", "attentionSinkStatistics"] as const) {
    assertThrows(
      attend(operator, { logSumExp: zeros([2, 6, 8, 1]) }),
      TypeError,
      `${operator}: logSumExp has shape [2, 6, 8, 1], wanted [2, 6, 8] as query is [2, 6, 8, 4]`,
    );
    assertThrows(attend(operator, { logSumExp: undefined }), TypeError, "logSumExp is undefined");
  }
});

Deno.test("attentionSinkStatistics() checks position and window", () => {
  const cases: [Record<string, unknown>, typeof TypeError | typeof RangeError, string][] = [
    [{ position: 8 }, RangeError, "position is 8, wanted an integer from 0 to 7"],
    [{ position: -1 }, RangeError, "position is -1, wanted an integer from 0 to 7"],
    [{ position: 0.5 }, RangeError, "position is 0.5"],
    [{ window: 0 }, RangeError, "window is 0, wanted an integer of at least 1"],
    [{ window: NaN }, RangeError, "window is NaN"],
    [{ window: "64" }, TypeError, 'window is "64", wanted an integer of at least 1'],
  ];
  for (const [changes, errorClass, message] of cases) {
    assertThrows(
      attend("attentionSinkStatistics", changes),
      errorClass,
      `attentionSinkStatistics: ${message}`,
    );
  }
  attend("attentionSinkStatistics", { position: 7, window: 1e9 })();
});

Deno.test("rmsNormForward() and rmsNormBackward() check shapes and epsilon", () => {
  const forwardWith = (changes: object) => () => reference.rmsNormForward({ ...norms, ...changes });
  const backwardWith = (changes: object) => () =>
    reference.rmsNormBackward({ ...norms, inverseRms, outputGradient: norms.input, ...changes });
  backwardWith({})();
  for (
    const [run, name] of [[forwardWith, "rmsNormForward"], [
      backwardWith,
      "rmsNormBackward",
    ]] as const
  ) {
    assertThrows(
      run({ gain: zeros([5]) }),
      TypeError,
      `${name}: gain has shape [5], wanted [4] as input is [5, 4]`,
    );
    assertThrows(run({ gain: zeros([1, 4]) }), TypeError, `${name}: gain has shape [1, 4]`);
    assertThrows(run({ input: undefined }), TypeError, `${name}: input is undefined`);
    const scalar = { data: new Float64Array(1), shape: [] };
    assertThrows(run({ input: scalar }), TypeError, `${name}: input has shape [], wanted [d]`);
    const empty = { data: new Float64Array(), shape: [0, 4] };
    assertThrows(
      run({ input: empty }),
      TypeError,
      `${name}: input has shape [0, 4], wanted [n0, d]`,
    );
  }
  for (const epsilon of [-1e-9, NaN, Infinity]) {
    const wanted = `rmsNormForward: epsilon is ${epsilon}, wanted a finite number of at least 0`;
    assertThrows(forwardWith({ epsilon }), RangeError, wanted);
  }
  assertThrows(
    backwardWith({ inverseRms: zeros([5, 1]) }),
    TypeError,
    "rmsNormBackward: inverseRms has shape [5, 1], wanted [5] as input is [5, 4]",
  );
  assertThrows(
    backwardWith({ outputGradient: zeros([4, 5]) }),
    TypeError,
    "rmsNormBackward: outputGradient has shape [4, 5], wanted [5, 4] as input is [5, 4]",
  );
});

Deno.test("vScaleForward() and vScaleBackward() check shapes and constants", () => {
  const scaledValueGradient = value;
  const operators = {
    vScaleForward: (changes: object) => () =>
      reference.vScaleForward({ value, constant, ...changes }),
    vScaleBackward: (changes: object) => () =>
      reference.vScaleBackward({ value, constant, scaledValueGradient, ...changes }),
  };
  for (const [name, run] of Object.entries(operators)) {
    run({})();
    assertThrows(
      run({ value: zeros([2, 3, 4]) }),
      TypeError,
      `${name}: value has shape [2, 3, 4], wanted [B, Hkv, T, D]`,
    );
    assertThrows(
      run({ constant: zeros([2]) }),
      TypeError,
      `${name}: constant has shape [2], wanted [3] as value is [2, 3, 8, 4]`,
    );
    assertThrows(
      run({ constant: zeros([3]) }),
      RangeError,
      `${name}: constant[0] is 0, wanted a positive finite number`,
    );
  }
  assertThrows(
    operators.vScaleBackward({ scaledValueGradient: query }),
    TypeError,
    "vScaleBackward: scaledValueGradient has shape [2, 6, 8, 4], wanted [2, 3, 8, 4]",
  );
});

Deno.test("rmsNormJacobian() and vScaleJacobian() check shapes and constants", () => {
  assertThrows(
    () => reference.rmsNormJacobian({ input: norms.input, gain: norms.gain }),
    TypeError,
    "rmsNormJacobian: input has shape [5, 4], wanted [d]",
  );
  assertThrows(
    () => reference.rmsNormJacobian({ input: norms.gain, gain: constant }),
    TypeError,
    "rmsNormJacobian: gain has shape [3], wanted [4] as input is [4]",
  );
  assertThrows(
    () => reference.vScaleJacobian({ value: constant, constant: 0 }),
    RangeError,
    "vScaleJacobian: constant[0] is 0",
  );
});

Deno.test("tensor() copies its data and checks shape and length", () => {
  const data = new Float32Array([1, 2, 3, 4, 5, 6]);
  const shape = [2, 3];
  const made = tensor(data, shape);
  data[0] = 9;
  shape[0] = 9;
  assertEquals(made, { data: Float64Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] });
  assertEquals(zeros([2]), { data: Float64Array.of(0, 0), shape: [2] });
  assertEquals(reference.elementCount([2, 3, 4]), 24);
  assertThrows(
    () => tensor([1, 2, 3], [2, 2]),
    TypeError,
    "tensor: data has 3 elements, wanted 4 as shape is [2, 2]",
  );
  for (const bad of [[0], [2, -1], [1.5], [NaN]]) {
    const wanted = `shape is [${
      bad.join(", ")
    }], wanted dimensions that are integers of at least 1`;
    assertThrows(() => tensor([], bad), TypeError, `tensor: ${wanted}`);
    assertThrows(() => zeros(bad), TypeError, `zeros: ${wanted}`);
  }
  assertThrows(
    () => tensor([1], []),
    TypeError,
    "tensor: shape is [], wanted an array of one or more",
  );
  assertThrows(
    () => tensor(5 as unknown as number[], [1]),
    TypeError,
    "tensor: data is 5, wanted a list of 1 numbers",
  );
});
