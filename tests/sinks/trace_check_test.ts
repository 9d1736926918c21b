import type { Numbers } from "../../src/sinks/numbers.ts";
import { SinkMeter } from "../../src/sinks/meter.ts";
import { checkTheory } from "../../src/sinks/theory.ts";
import { checkTrace } from "../../src/sinks/trace_check.ts";
import { assertEquals, assertThrows } from "../support/assert/assert.ts";
import { mapTrace, tracedModel } from "../support/model/traces.ts";

const model = tracedModel({ batch: 2, context: 5 });

/** The trace with `value` as one element of the state `path` of one layer. */
function broken(
  path: string,
  { layer, element, value }: {
    readonly layer: number;
    readonly element: number;
    readonly value: number;
  },
) {
  return mapTrace<Float64Array, Numbers>(model.trace, (numbers, name, index) => {
    if (name !== path || index !== layer) return numbers;
    const copy = numbers.slice();
    copy[element] = value;
    return copy;
  });
}

Deno.test("checkTrace() accepts the twin's trace", () => checkTrace(model.trace, model.config));

Deno.test("checkTrace() names the layer, the state, the sequence and the position of a NaN", () => {
  // The key has the shape [B, Hkv, T, D] = [2, 2, 5, 4]. The NaN is in sequence 1, head 0,
  // position 3, element 2.
  const key = broken("attention.key", { layer: 2, element: 2 * 5 * 4 + 3 * 4 + 2, value: NaN });
  assertThrows(
    () => checkTrace(key, model.config),
    RangeError,
    "sinks: layer 2's attention.key holds NaN in sequence 1 at position 3, wanted finite numbers",
  );
  const input = broken("gradients.input", { layer: 0, element: 12, value: -Infinity });
  assertThrows(
    () => checkTrace(input, model.config),
    RangeError,
    "layer 0's gradients.input holds -Infinity in sequence 0 at position 1",
  );
});

Deno.test("checkTrace() names the place where a NaN first occurred, not those that it reached", () => {
  const everywhere = mapTrace(
    model.trace,
    (numbers, name, layer) =>
      name.includes("gradients") || layer === 2 ? numbers.map(() => NaN) : numbers,
  );
  assertThrows(() => checkTrace(everywhere, model.config), RangeError, "layer 2's input holds NaN");
  const backward = mapTrace(
    model.trace,
    (numbers, name) => name.includes("gradients") ? numbers.map(() => NaN) : numbers,
  );
  assertThrows(() => checkTrace(backward, model.config), RangeError, "layer 2's gradients.output");
});

Deno.test("checkTrace() accepts large numbers whose sum overflows", () => {
  const huge = mapTrace(model.trace, (numbers) => numbers.map(() => 1e308));
  checkTrace(huge, model.config);
});

Deno.test("checkTrace() refuses a trace that does not fit the model", () => {
  const short = mapTrace(
    model.trace,
    (numbers, name, layer) =>
      name === "attention.value" && layer === 0 ? numbers.slice(1) : numbers,
  );
  assertThrows(
    () => checkTrace(short, model.config),
    TypeError,
    "sinks: layer 0's attention.value has 79 elements, wanted 80",
  );
  assertThrows(
    () => checkTrace({ ...model.trace, layers: model.trace.layers.slice(1) }, model.config),
    TypeError,
    "sinks: the trace has 2 layers, wanted the model's 3",
  );
  assertThrows(
    () => checkTrace(model.trace, { ...model.config, layersWithoutAttention: [] }),
    TypeError,
    "sinks: layer 1 of the trace is without attention, wanted it as in the model",
  );
});

Deno.test("SinkMeter refuses traces that it cannot measure", () => {
  const { config, trace } = model;
  const learned = { ...config, vScale: "learned" as const };
  assertThrows(
    () => new SinkMeter({ config: learned, context: 5 }),
    TypeError,
    "theta has no elements, wanted one for each of the 2 value heads",
  );
  assertThrows(
    () => new SinkMeter({ config, context: 1 }),
    RangeError,
    "early[0] is 1, wanted an integer from 0 to 0",
  );
  const meter = new SinkMeter({ config, context: 5 });
  assertThrows(() => meter.result(), RangeError, "no batch was measured");
  assertThrows(
    () => meter.add({ ...trace, context: 6 }),
    TypeError,
    "the trace has 6 positions, wanted 5",
  );
  assertThrows(
    () => meter.add(trace, { idle: new Uint8Array(9) }),
    TypeError,
    "idle has 9 elements, wanted 10",
  );
  assertThrows(() => meter.add(trace, { loss: NaN }), RangeError, "loss is NaN");
});

Deno.test("SinkMeter knows the loss only if every batch does", () => {
  const { config, trace } = model;
  const meter = new SinkMeter({ config, context: 5 });
  meter.add(trace, { loss: 2 });
  meter.add(trace, { loss: 3, oracleLoss: 1 });
  assertEquals(meter.result().loss, 2.5);
  assertEquals(meter.result().oracleLoss, null);
});

Deno.test("SinkMeter measures a model without attention, except for its attention", () => {
  const { config, trace } = tracedModel({ config: { layersWithoutAttention: [0, 1, 2] } });
  const meter = new SinkMeter({ config, context: trace.context });
  meter.add(trace);
  const { summary, layers } = meter.result();
  assertEquals(summary.gradientSink, null);
  assertEquals(summary.sinkRate, null);
  assertEquals(summary.pathGradients, null);
  assertEquals(layers.map(({ attention }) => attention), [null, null, null]);
});

Deno.test("checkTheory() refuses traces that it cannot check", () => {
  const { trace, config, gains } = model;
  assertThrows(
    () => checkTheory(trace, { config, gains: gains.slice(1) }),
    TypeError,
    "layer 0's attention gain has no elements, wanted 12",
  );
  for (const [name, value] of [["position", 5], ["sequences", 0]] as const) {
    assertThrows(
      () => checkTheory(trace, { config, gains, [name]: value }),
      RangeError,
      `theory: ${name} is ${value}, wanted`,
    );
  }
});
