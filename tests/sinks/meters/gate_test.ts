import { GateMeter } from "../../../src/sinks/meters/gate.ts";
import { SinkMeter } from "../../../src/sinks/meter.ts";
import { DEFAULT_SINK_SETTINGS } from "../../../src/sinks/measurement/settings.ts";
import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { tracedModel } from "../../support/model/traces.ts";

const settings = { ...DEFAULT_SINK_SETTINGS, idleFrom: 2, early: [1, 2] as const };

Deno.test("GateMeter finds each head's mean opening, at idle queries, at token 0 and after", () => {
  const meter = new GateMeter({ queryHeads: 2, context: 4 }, settings);
  // One gate per head, [B, T, Hq]. The second head's gate is always 0.5.
  meter.add(Float64Array.of(0.1, 0.5, 0.2, 0.5, 0.3, 0.5, 0.8, 0.5), {
    batch: 1,
    idle: Uint8Array.of(1, 1, 1, 0),
  });
  meter.add(Float64Array.of(0.3, 0.5, 0.4, 0.5, 0.5, 0.5, 1.0, 0.5), {
    batch: 1,
    idle: Uint8Array.of(0, 0, 1, 1),
  });
  const [first, second] = meter.result();
  const rounded = (value: number | null) => value === null ? null : Number(value.toFixed(12));
  assertEquals(rounded(first!.mean), 0.45);
  // Idle queries count from position 2 on (`idleFrom`). So there are three: query 2 of the first
  // sequence, queries 2 and 3 of the second.
  assertEquals(rounded(first!.idleMean), 0.6);
  assertEquals([first!.opening.sink, first!.opening.early].map(rounded), [0.2, 0.35]);
  assertEquals(second, {
    mean: 0.5,
    idleMean: 0.5,
    opening: { sink: 0.5, early: 0.5, ratio: 1 },
  });
});

Deno.test("GateMeter takes the mean of a head's gates, and has no idle mean without a mask", () => {
  const meter = new GateMeter({ queryHeads: 2, context: 2 }, { ...settings, early: [1, 1] });
  // One gate per element, [B, T, Hq D] with D = 2.
  meter.add(Float64Array.of(0, 0.5, 1, 1, 0.5, 0.5, 0, 0), { batch: 1, idle: undefined });
  assertEquals(meter.result(), [
    { mean: 0.375, idleMean: null, opening: { sink: 0.25, early: 0.5, ratio: 0.5 } },
    { mean: 0.5, idleMean: null, opening: { sink: 1, early: 0, ratio: null } },
  ]);
});

Deno.test("SinkMeter measures gates if a model has them, and then requires their openings", () => {
  for (const attentionGate of ["none", "head", "element"] as const) {
    const { config, trace } = tracedModel({ config: { attentionGate } });
    const meter = new SinkMeter({ config, context: trace.context });
    meter.add(trace);
    const [layer] = meter.result().layers;
    const gates = layer!.attention!.heads.map(({ gate }) => gate);
    assertEquals(gates.length, config.queryHeads);
    for (const gate of gates) {
      assertEquals(gate === undefined, attentionGate === "none");
      if (gate !== undefined) assert(gate.mean > 0.05 && gate.mean < 0.95, `${gate.mean}`);
    }
    if (attentionGate === "none") continue;
    const layers = trace.layers.map((each) => ({
      ...each,
      attention: each.attention && { ...each.attention, opening: undefined },
    }));
    assertThrows(
      () =>
        new SinkMeter({ config, context: trace.context }).add({ ...trace, layers } as typeof trace),
      TypeError,
      "layer 0's attention.opening has 0 elements",
    );
  }
});
