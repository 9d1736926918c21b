import { SinkLogitMeter } from "../../../src/sinks/meters/sink_logit.ts";
import { SinkMeter } from "../../../src/sinks/meter.ts";
import { DEFAULT_SINK_SETTINGS } from "../../../src/sinks/measurement/settings.ts";
import { layerSinkLogits } from "../../../src/sinks/sink_logit.ts";
import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { tracedModel } from "../../support/model/traces.ts";

const settings = { ...DEFAULT_SINK_SETTINGS, window: 2, idleFrom: 2 };

Deno.test("SinkLogitMeter finds the share of each head's sink, in the window and among idle queries", () => {
  const meter = new SinkLogitMeter([0, Math.log(2)], { context: 4, settings });
  // The first head's sink has the shares 1/2, 1/4, 1/8 and 1/16 of its four queries. The second
  // head's sink has twice these shares, because its logit is larger by log 2. (Layout: [B, Hq, T].)
  const logSumExp = [2, 4, 8, 16].map(Math.log);
  meter.add(Float64Array.from([...logSumExp, ...logSumExp]), {
    batch: 1,
    idle: Uint8Array.of(1, 1, 1, 1),
  });
  const close = (a: number | null, b: number) => assert(Math.abs(a! - b) < 1e-15, `${a}, ${b}`);
  const [first, second] = meter.result();
  assertEquals([first!.logit, second!.logit], [0, Math.log(2)]);
  close(first!.score, 3 / 8);
  close(second!.score, 3 / 4);
  close(first!.idleScore, 3 / 32);
  close(second!.idleScore, 3 / 16);
});

Deno.test("SinkMeter counts a sink's logit in addition to the tokens: all shares add up to 1", () => {
  for (const sinkLogit of ["learned", "zero"] as const) {
    const { config, trace, sinks } = tracedModel({ config: { sinkLogit }, context: 6 });
    const scores = Array.from({ length: 6 }, (_, position) => {
      const meter = new SinkMeter({
        config,
        context: 6,
        sinks,
        // The window covers all queries that see the position.
        settings: { position, window: 6 - position, lastGradientPosition: 5, early: [0, 5] },
      });
      meter.add(trace);
      return meter.result().layers[0]!.attention!.heads;
    });
    for (let head = 0; head < config.queryHeads; head++) {
      const { logit, score } = scores[0]![head]!.sinkLogit!;
      assertEquals(logit, sinkLogit === "zero" ? 0 : sinks[0]![head]);
      // Each query's weights, with the sink's, add up to 1.
      const mass = scores.reduce((sum, heads) => sum + heads[head]!.mass, 0);
      assert(Math.abs(mass + 6 * score - 6) < 1e-12, `${mass} and ${6 * score}`);
    }
  }
});

Deno.test("layerSinkLogits() requires a logit per query head if they are learned", () => {
  const { config } = tracedModel();
  assertEquals(layerSinkLogits(config, undefined), undefined);
  assertEquals(layerSinkLogits({ ...config, sinkLogit: "zero" }, undefined), [0, 0, 0, 0]);
  const learned = { ...config, sinkLogit: "learned" } as const;
  assertEquals(layerSinkLogits(learned, [1, 2, 3, 4]), [1, 2, 3, 4]);
  for (const [given, words] of [[undefined, "no elements"], [[1], "1 elements"]] as const) {
    assertThrows(() => layerSinkLogits(learned, given), TypeError, words);
  }
});
