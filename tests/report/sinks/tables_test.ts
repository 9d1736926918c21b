import { figure } from "../../../src/report/sinks/figure.ts";
import { sinkTables } from "../../../src/report/sinks/tables.ts";
import { formatSinkMeasurement, sinkSummary } from "../../../src/report/sinks/text.ts";
import { cellText } from "../../../src/report/table.ts";
import type { SinkMeasurement } from "../../../src/sinks/measurement.ts";
import { SinkMeter } from "../../../src/sinks/meter.ts";
import { checkTheory } from "../../../src/sinks/theory.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { tracedModel } from "../../support/model/traces.ts";

function measure(options: Parameters<typeof tracedModel>[0] = {}): SinkMeasurement {
  const { config, trace, gains, theta, sinks } = tracedModel(options);
  const { batch, context } = trace;
  const meter = new SinkMeter({ config, context, theta, sinks });
  meter.add(trace, { loss: 2, oracleLoss: 1.5, idle: new Uint8Array(batch * context).fill(1) });
  const source = { run: "r\u001b[2J", step: 7, task: "bigram-backcopy", seed: 1 };
  return { ...meter.result(source), theory: checkTheory(trace, { config, gains, theta, sinks }) };
}

Deno.test("figure() keeps three digits and marks missing values", () => {
  const cases = [
    [0.12345, "0.123"],
    [12.345, "12.3"],
    [1234.5, "1235"], // toFixed(0)
    [99999, "99999"],
    [1e5, "1.00e5"],
    [-0.012345, "−0.0123"],
    [1.5e-7, "1.50e−7"],
    [0, "0"],
    [null, "–"],
    [undefined, "–"],
  ] as const;
  for (const [value, text] of cases) assertEquals(figure(value), text);
});

Deno.test("formatSinkMeasurement() says which sequences were measured, by default validation's", () => {
  const measurement = measure();
  const { data } = measurement;
  for (const [split, word] of [[undefined, "validation"], ["training", "training"]] as const) {
    const given = { ...measurement, data: split === undefined ? data : { ...data, split } };
    const text = formatSinkMeasurement(given);
    assertStringIncludes(text, `${data.sequences} ${word} sequences of ${data.context} tokens`);
    assertStringIncludes(text, `The theory on a ${word} batch`);
  }
});

Deno.test("sinkTables() shows the shares of sinks' logits and the openings of gates, if there are any", () => {
  const plain = measure();
  const both = measure({ config: { sinkLogit: "learned", attentionGate: "element" } });
  const [before, after] = [plain, both].map((each) => sinkTables(each)[0]!);
  const titles = (table: typeof before) => table!.columns.map(({ title }) => title);
  assertEquals(titles(after).slice(titles(before).length), [
    "logit s",
    "its share",
    "idle share",
    "gate",
    "gate at 0",
    "idle gate",
  ]);
  const { gate, sinkLogit } = both.layers[0]!.attention!.heads[0]!;
  const cells = after!.rows[0]!.map(cellText).slice(titles(before).length);
  assertEquals(cells.toSpliced(4, 1), [
    figure(sinkLogit!.logit),
    figure(sinkLogit!.score),
    figure(sinkLogit!.idleScore),
    figure(gate!.mean),
    figure(gate!.idleMean),
  ]);
  const text = formatSinkMeasurement(both);
  assertStringIncludes(text, "learned sinks, a gate per element");
  assertStringIncludes(text, "Σ_j exp(z_tj − logSumExp_t) = 1 − b_t");
  assertStringIncludes(text, "∇y_t = σ(x_t) ⊙ ∇y′_t");
});

Deno.test("sinkTables() shows every layer, head and statement with the measurement's numbers", () => {
  const measurement = measure({ config: { vScale: "learned" } });
  const tables = sinkTables(measurement);
  for (const { columns, rows } of tables) {
    for (const row of rows) assertEquals(row.length, columns.length);
  }
  const [heads, gradients, branches, norms, values, theory] = tables;
  assertEquals(heads!.rows.length, 8);
  const { attention } = measurement.layers[2]!;
  const head = attention!.heads[3]!;
  assertEquals(heads!.rows[7]!.map(cellText), [
    "2",
    "3",
    figure(head.score),
    figure(head.sinkRate!),
    figure(head.idleScore),
    figure(head.mass),
    figure(head.secondMoment),
  ]);
  assertEquals(gradients!.rows.length, 2);
  assertEquals(cellText(gradients!.rows[1]![2]!), figure(attention!.gradientSink.ratio));
  // If only one layer has attention, the summary's norm and ratio are that layer's.
  const one = measure({ config: { layersWithoutAttention: [0, 1] } });
  const { paths } = one.summary;
  const path = cellText(sinkTables(one)[1]!.rows[0]![4]!);
  assertEquals(path, `${figure(paths!.value.sink)} (${figure(paths!.value.ratio)}×)`);
  assertEquals(branches!.rows.length, 5);
  assertEquals(norms!.rows.length, 3);
  assertEquals(values!.rows.length, 4);
  assertEquals(theory!.rows.length, 15);
});

Deno.test("sinkTables() shows INT8 activations if they were measured", () => {
  const quantization = {
    loss: 2,
    calibrationBatches: 4,
    cases: [{
      target: "down-projections",
      scaling: "static-tensor",
      loss: 2.25,
      difference: 0.25,
    }],
  } as const;
  const table = sinkTables({ ...measure(), quantization }).find(({ caption }) =>
    caption?.startsWith("Loss with INT8")
  );
  assertEquals(table?.rows[0]?.map(cellText), [
    "down projections",
    "static, one scale per tensor",
    "2.2500",
    "+0.250",
  ]);
});

Deno.test("formatSinkMeasurement() shows the measurement and violations, without control characters", () => {
  const measurement = measure();
  const text = formatSinkMeasurement(measurement);
  assertStringIncludes(text, "r\\u001b[2J, step 7: bigram-backcopy, plain attention");
  assertStringIncludes(text, "loss 2.0000 nats per token, 0.500 above the oracle");
  assertStringIncludes(text, "queries 0×");
  assert(!text.includes("violated: "));
  // deno-lint-ignore no-control-regex
  assert(!/\u001b/.test(text));
  const theory = { ...measurement.theory!, errors: ["mass bound: 3 of 5"] };
  assertStringIncludes(
    formatSinkMeasurement({ ...measurement, theory }),
    "violated: mass bound: 3 of 5",
  );
  const nothing = measure({ config: { layersWithoutAttention: [0, 1, 2] } });
  assert(!formatSinkMeasurement(nothing).includes("R_GS"));
});

Deno.test("sinkSummary() and the table of heads mark an older file's sink rate as unknown", () => {
  const measurement = measure();
  const [rate] = sinkSummary(measurement).filter((line) => line.startsWith("sink rate"));
  assert(rate !== undefined && rate.includes(" of (sequence, head) pairs"), rate);
  const { sequenceSinkRate: _, uniformScore: __, ...summary } = measurement.summary;
  const layers = measurement.layers.map((layer) => ({
    ...layer,
    attention: layer.attention && {
      ...layer.attention,
      heads: layer.attention.heads.map(({ sinkRate: _, ...head }) => head),
    },
  }));
  const older = { ...measurement, summary, layers };
  assert(
    sinkSummary(older).some((line) => line.startsWith("sink rate unknown: this older file")),
  );
  const titles = (each: SinkMeasurement) => sinkTables(each)[0]!.columns.map(({ title }) => title);
  assert(titles(measurement).includes("sequences with a sink"));
  assert(!titles(older).includes("sequences with a sink"));
  assert(!sinkSummary(older).some((line) => line.includes("uniform")));
});

Deno.test("sinkSummary() shows no key gradient that is below its rounding floor", () => {
  const measurement = measure();
  const keys = (keyGradientFloor?: number) => {
    const { keyGradientFloor: _, ...summary } = measurement.summary;
    const floor = keyGradientFloor === undefined ? {} : { keyGradientFloor };
    const line = sinkSummary({ ...measurement, summary: { ...summary, ...floor } })
      .find((line) => line.startsWith("gradients at"));
    return /keys ([^,]*),/.exec(line ?? "")?.[1];
  };
  const { sink } = measurement.summary.paths!.key;
  assertEquals(keys(1.01 * sink), `below its floor (≤ ${figure(1.01 * sink)})`);
  const shown = keys(0.99 * sink);
  assert(shown !== undefined && shown.endsWith("×"), shown);
  assertEquals(keys(), shown, "an older file");
  assertEquals(keys(measurement.summary.keyGradientFloor), shown, "float64 is far above its floor");
});

Deno.test("the tables show no gradient by key or query that is below its rounding floor", () => {
  const cells = (measurement: SinkMeasurement) => {
    const table = sinkTables(measurement).find(({ caption }) => caption?.startsWith("Gradients"))!;
    return table.rows.map((row) => row.slice(-2).map(cellText));
  };
  const withFloors = (measurement: SinkMeasurement, factor: number): SinkMeasurement => ({
    ...measurement,
    layers: measurement.layers.map((layer) => ({
      ...layer,
      attention: layer.attention && {
        ...layer.attention,
        keyGradientFloor: factor * layer.attention.gradients.key[0]!,
        queryGradientFloor: Math.max(1e-9, factor * layer.attention.gradients.query[0]!),
      },
    })),
  });
  const plain = measure(), sinks = measure({ config: { sinkLogit: "learned" } });
  for (const [key, query] of cells(withFloors(plain, 1.01))) {
    assert(key!.startsWith("below its floor (≤ "), key);
    assertEquals(query, "0", "the first query's gradient is 0, whatever is left of it");
  }
  for (const row of cells(withFloors(sinks, 1.01))) {
    for (const cell of row) assert(cell.startsWith("below its floor (≤ "), cell);
  }
  assertEquals(cells(withFloors(sinks, 0.99)), cells(sinks), "above their floors");
});
