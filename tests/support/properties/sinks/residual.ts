/**
 * Measurements of residual branches, norms and massive activations agree with results worked out by
 * hand.
 */
import type { SinkSettings } from "../../../../src/sinks/measurement/settings.ts";
import { assert, assertEquals } from "../../assert/assert.ts";
import { handTrace, rows } from "../../model/traces.ts";
import { allNear, measure, near, type SinkProperty, small } from "./property.ts";

export const residualProperties: readonly SinkProperty[] = [
  {
    name: "Bloat, Compress and Change are the ratios of one token, and their median over sequences",
    check(modules) {
      // Three sequences of 2 tokens.
      const input = rows(2, 1, 4, 1, 8, 1);
      const trace = handTrace({
        batch: 3,
        context: 2,
        layer: { input, half: input },
        gradients: {
          input: rows(12, 1, 15, 1, 11, 2),
          half: rows(10, 1, 10, 1, 10, 1),
          mlpNorm: rows(6, 6, 6, 6, 6, 6),
          output: rows(2, 3, 3, 3, 5, 3),
        },
        attentionGradients: { norm: rows(20, 1, 40, 3, 30, 2) },
      });
      const settings: Partial<SinkSettings> = { ...small, early: [1, 1] };
      const result = measure(modules, trace, { settings });
      const { byPosition, bloat, points } = result.layers[0]!.attention!.branch;
      allNear(byPosition.inputNorm, [4, 1], "‖h‖");
      allNear(byPosition.bloat, [3, 2], "Bloat");
      // In the three sequences, the first token's Compress is (12 − 10)/20, (15 − 10)/40 and (11 −
      // 10)/30. The second token's Compress is undefined in the first two sequences, where its
      // gradients of `input` and `half` are equal.
      allNear(byPosition.compress, [0.1, 0.5], "Compress");
      allNear(byPosition.change, [1.2, 1], "Change");
      near(bloat?.ratio, 1.5, "Bloat at the sink");
      allNear(points.bloat, [2, 1, 4, 3], "Bloat of single tokens");
      assertEquals(points.sequence, [0, 0, 1, 1]);
      assertEquals(points.position, [0, 1, 0, 1]);
      const { mlp } = result.layers[0]!;
      allNear(mlp.branch.byPosition.bloat, [2, 2], "MLP's Bloat");
      allNear(mlp.branch.byPosition.compress, [7 / 6, 2 / 6], "MLP's Compress");
      allNear(mlp.branch.byPosition.change, [10 / 3, 1 / 3], "MLP's Change");
    },
  },
  {
    name: "Compress's slope is that of the logarithms",
    check(modules) {
      const sizes = [1, 2, 4, 10, 100, 300];
      const input = rows(...sizes);
      const trace = handTrace({
        batch: 2,
        context: 3,
        layer: { input },
        gradients: {
          input: rows(...sizes.map((size) => 1 + 0.5 * size ** -1.5)),
          half: rows(...sizes.map(() => 1)),
        },
        attentionGradients: { norm: rows(...sizes.map(() => 1)) },
      });
      const { compressFit } = measure(modules, trace, { settings: small }).layers[0]!.attention!
        .branch;
      assert(Math.abs(compressFit!.slope + 1.5) < 1e-9, `slope ${compressFit!.slope}`);
      assert(Math.abs(compressFit!.intercept - Math.log10(0.5)) < 1e-9, "intercept");
      assert(compressFit!.explained > 1 - 1e-9, "R²");
      allNear(compressFit!.range, [0, Math.log10(300)], "range");
      assertEquals(compressFit!.tokens, 6);
    },
  },
  {
    name: "norms are means over sequences, s against early tokens",
    check(modules) {
      const output = rows(8, 1, 3, 100, 4, 1, 3, 100);
      const trace = handTrace({
        batch: 2,
        context: 4,
        layer: { output },
        attention: { value: rows(0.5, 1, 3, 9, 0.5, 3, 1, 9) },
      });
      const layer = measure(modules, trace, { settings: small }).layers[0]!;
      assertEquals(layer.output, { sink: 6, early: 2, ratio: 3 });
      assertEquals(layer.outputByPosition, [6, 1, 3, 100]);
      assertEquals(layer.attention!.value, { sink: 0.5, early: 2, ratio: 0.25 });
      assertEquals(layer.attention!.valueHeads[0]!.value.ratio, 0.25);
      assertEquals(layer.input.ratio, null);
    },
  },
  {
    name: "massive activations are counted by the median magnitude",
    check(modules) {
      const ones = () => new Float64Array(2 * 3 * 4).fill(-1);
      const output = ones();
      output[1] = 101;
      output[2] = -1001;
      output[3] = 100; // not above 100 times the median
      output[13] = 5000; // sequence 1, position 0
      output[20] = 200; // sequence 1, position 2
      const trace = handTrace({ batch: 2, context: 3, layer: { output } });
      assertEquals(measure(modules, trace, { settings: small }).layers[0]!.massive, {
        median: 1,
        largest: 5000,
        ratio: 5000,
        above100: 2,
        above1000: 1,
        above100AtSink: 1.5,
      });
    },
  },
];
