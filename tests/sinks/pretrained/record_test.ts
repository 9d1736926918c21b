/** The README's figures of SmolLM2-135M-Instruct agree with the stored measurement. */
import type { SinkMeasurement } from "../../../src/sinks/measurement.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";

const root = new URL("../../../", import.meta.url);

testWith("read")(
  "the README's figures of SmolLM2-135M-Instruct are those of its record",
  async () => {
    const readme = await Deno.readTextFile(new URL("README.md", root));
    const record = JSON.parse(
      await Deno.readTextFile(new URL("fixtures/pretrained/smollm2.json", root)),
    ) as SinkMeasurement;
    const tells = (figures: string) => assert(readme.includes(figures), `not told: ${figures}`);
    const { intervals, sinkRates, layers } = record.pretrained!;
    const percent = (share: number) => Math.round(100 * share);
    const mean = sinkRates.reduce((sum, rate) => sum + rate, 0) / sinkRates.length;
    const [low, high] = intervals.sinkRate!;
    tells(`${percent(mean)} % (${percent(low)} to ${percent(high)})`);
    const { median, lower, upper } = record.summary.gradientSink!;
    tells(`${median.toFixed(1)} (${lower.toFixed(1)} to ${upper.toFixed(1)})`);
    const { value, key, query } = record.summary.paths!;
    tells(`${value.ratio!.toFixed(1)}×, ${key.ratio!.toFixed(1)}×, exactly 0`);
    assertEquals(query.sink, 0);
    const most = layers.flatMap(({ largest }) => largest)
      .reduce((a, b) => Math.abs(b.value) > Math.abs(a.value) ? b : a);
    assertEquals([most.position, most.dimension], [0, 507]);
    assert(Math.abs(most.value - 26_108) < 5, `${most.value}`);
    const ratios = record.layers.map(({ attention }) => attention!.gradientSink.ratio!);
    const ends = (from: number, to: number) => {
      const part = ratios.slice(from, to + 1);
      return [Math.round(Math.min(...part)), Math.round(Math.max(...part))];
    };
    assertEquals([ends(3, 9), ends(12, 29)], [[10, 12], [22, 132]]);
    const nats = (difference: number) =>
      (Math.abs(difference) < 0.005 ? "" : difference < 0 ? "−" : "+") +
      Math.abs(difference).toFixed(2);
    const [zero, replaced] = record.pretrained!.interventions!;
    tells(`${nats(zero!.difference)}; ${nats(replaced!.difference)} nats`);
    const [down, dynamic] = record.quantization!.cases;
    const [least, largest] = down!.interval!;
    tells(
      `${nats(down!.difference)} (${nats(least)} to ${nats(largest)}); ${
        nats(dynamic!.difference)
      }`,
    );
    assertEquals(record.theory!.errors, []);
    const compared = record.theory!.checks.reduce((sum, check) => sum + check.compared, 0);
    assertEquals((compared / 1e6).toFixed(1), "1.9");
  },
);
