import { bestOfEach, compareOn, type Participant, ratioOf } from "../../../bench/peers/compare.ts";
import type { Contender } from "../../../bench/peers/contender.ts";
import { exchangeAxes } from "../../../bench/peers/peer.ts";
import type { PeerReply, PeerRequest } from "../../../bench/peers/protocol.ts";
import { peerTable } from "../../../bench/peers/table.ts";
import { inputsOf, wantedOf, type Work, works } from "../../../bench/peers/works.ts";
import { rmsNormBackward, rmsNormForward } from "../../../src/reference/rms_norm.ts";
import { tensor } from "../../../src/reference/tensor.ts";
import { formatMarkdownTable } from "../../../src/report/table.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";

const work: Work = {
  name: "small",
  operator: "rms-norm",
  pass: "forward+backward",
  dimensions: { rows: 40, d: 24 },
};

function rightNumbers(): Readonly<Record<string, Float64Array>> {
  const { input, gain, outputGradient } = inputsOf(work);
  const shaped = {
    input: tensor(input!, [40, 24]),
    gain: tensor(gain!, [24]),
  };
  const { inverseRms } = rmsNormForward({ ...shaped, epsilon: 1e-5 });
  const gradients = rmsNormBackward({
    ...shaped,
    inverseRms,
    outputGradient: tensor(outputGradient!, [40, 24]),
  });
  return {
    inputGradient: gradients.inputGradient.data,
    gainGradient: gradients.gainGradient.data,
  };
}

/** How a made-up library computes the operator; a library may have several ways. */
interface FakeWay {
  /** ns per run. */
  readonly time: number;
  readonly factor?: number;
  readonly fault?: string;
}

const clock = { now: 0 };

function fake(ways: readonly FakeWay[], { dies = Infinity } = {}): Contender {
  const numbers = rightNumbers();
  let samples = 0;
  const ask = (request: PeerRequest): PeerReply => {
    if (request.type === "prepare") {
      return {
        type: "prepared",
        ways: ways.map(({ factor = 1, fault }, i) =>
          fault !== undefined ? { name: `way ${i}`, fault } : {
            name: `way ${i}`,
            first: 5,
            numbers: request.stretches.map(({ output, start, length }) =>
              [...numbers[output]!.subarray(start, start + length)].map((x) =>
                Number.isNaN(factor) ? null : Math.fround(x * factor)
              )
            ),
          }
        ),
      };
    }
    if (++samples > dies) return { type: "failed", reason: "it died" };
    const wall = ways[request.way]!.time * request.runs;
    clock.now += wall / 1e6;
    return { type: "sampled", wall, cpu: 2 * wall };
  };
  return {
    ready: Promise.resolve({ type: "ready", versions: {} }),
    ask: (request) => Promise.resolve(ask(request)),
    close: () => Promise.resolve(),
  };
}

function compare(participants: readonly Participant[], budget = 10) {
  clock.now = 0;
  return compareOn(work, participants, { budget, seed: 1, now: () => clock.now });
}

Deno.test("compareOn() times only ways with right answers", async () => {
  const { results } = await compare([
    { library: "gradsink", contender: fake([{ time: 1e6 }]) },
    { library: "jax-js", contender: fake([{ time: 1e3, factor: 1.001 }]) },
    { library: "tfjs", contender: fake([{ time: 1e3, factor: NaN }]) },
    { library: "onnx-jsep", contender: fake([{ time: 1e3, fault: "no such kernel" }]) },
    { library: "onnx-webgpu", contender: fake([]) },
    { library: "onnx-cpu", contender: fake([{ time: 3e6 }]) },
  ]);
  const status = Object.fromEntries(results.map((each) => [each.library, each.status]));
  assertEquals(status, {
    "gradsink": "ok",
    "jax-js": "wrong",
    "tfjs": "wrong",
    "onnx-jsep": "failed",
    "onnx-webgpu": "absent",
    "onnx-cpu": "ok",
  });
  for (const { status, samples } of results) assertEquals(samples.length > 0, status === "ok");
  const [ours, native] = results.filter((each) => each.status === "ok");
  assertEquals(ratioOf(native!.samples, ours!.samples)!.median, 3);
  assert(ours!.error! > 0 && ours!.error! < 1e-6);
  const text = formatMarkdownTable(peerTable([{ work, results }], { caption: "a machine" }));
  assertStringIncludes(text, "3.00×");
  assertStringIncludes(text, "is off by 0.001");
  assertStringIncludes(text, "no such kernel");
  assert(!text.includes("NaN") && !text.includes("undefined"), text);
});

Deno.test("compareOn() runs six rounds, then as many as the budget allows", async () => {
  const participants = () => [
    { library: "gradsink", contender: fake([{ time: 1e8 }]) },
    { library: "jax-js", contender: fake([{ time: 2e8 }]) },
  ];
  const few = await compare(participants(), 0.1);
  assertEquals(few.results.map(({ samples }) => samples.length), [6, 6]);
  // A round takes 0.8 s: 4 runs of 0.1 s and 2 runs of 0.2 s. So the budget is enough for 9 rounds.
  const more = await compare(participants(), 7.5);
  assertEquals(more.results.map(({ runs }) => runs), [4, 2]);
  assertEquals(more.results.map(({ samples }) => samples.length), [9, 9]);
});

Deno.test("compareOn() compares a model's answers with the first library's", async () => {
  const model: Work = {
    name: "model",
    operator: "model",
    pass: "forward+backward",
    dimensions: { T: 3, V: 50, d: 2 },
    folder: "folder/tiny",
  };
  const answering = (change: (number: number) => number | null): Contender => ({
    ready: Promise.resolve({ type: "ready", versions: {} }),
    ask: (request) =>
      Promise.resolve(
        request.type === "sample" ? { type: "sampled", wall: 1e6, cpu: 1e6 } : {
          type: "prepared",
          ways: [{
            name: "",
            numbers: request.stretches.map(({ output, start, length }) =>
              Array.from(
                { length },
                (_, i) => change(output === "tokenLosses" ? 40 + i : 1 + start + i),
              )
            ),
          }],
        },
      ),
    close: () => Promise.resolve(),
  });
  const found = async (...changes: readonly ((number: number) => number | null)[]) => {
    const participants = changes.map((change, i) => ({
      library: ["gradsink", "torch-cpu", "jax-js"][i]!,
      contender: answering(change),
    }));
    let looks = 0;
    return await compareOn(model, participants, { budget: 1e-9, seed: 1, now: () => looks++ });
  };
  const { results } = await found((x) => x, (x) => x + 1e-6, (x) => x === 6 ? 5 : x);
  assertEquals(results.map(({ status, reason }) => [status, reason]), [
    ["ok", undefined],
    ["ok", undefined],
    ["wrong", "embeddedGradient is off by 0.167"],
  ]);
  const nothing = await found(() => null, (x) => x, (x) => x);
  assertEquals(nothing.results.map(({ status }) => status), ["wrong", "ok", "ok"]);
  const text = formatMarkdownTable(peerTable([{ work: model, results }], { caption: "" }));
  assertStringIncludes(text, "tiny forward+backward, T3 V50 d=2");
});

Deno.test("compareOn() continues without a library that fails", async () => {
  const { results } = await compare([
    { library: "gradsink", contender: fake([{ time: 1e6 }]) },
    { library: "jax-js", contender: fake([{ time: 1e6 }], { dies: 4 }) },
  ]);
  assertEquals(results.map(({ status, reason }) => [status, reason]), [
    ["ok", undefined],
    ["failed", "it died"],
  ]);
});

Deno.test("bestOfEach() takes each library's fastest correct way", async () => {
  const { results } = await compare([
    { library: "gradsink", contender: fake([{ time: 1e6 }]) },
    {
      library: "tfjs",
      contender: fake([{ time: 9e6 }, { time: 4e6 }, { time: 1e3, factor: 2 }]),
    },
  ]);
  assertEquals(bestOfEach(results).map(({ library, way }) => [library, way]), [
    ["gradsink", "way 0"],
    ["tfjs", "way 1"],
  ]);
  const table = peerTable([{ work, results }], { caption: "" });
  assertStringIncludes(JSON.stringify(table.rows[1]), "by way 2 wrong");
});

Deno.test("ratioOf() compares samples of the same round", () => {
  // The machine is ten times slower in every second round.
  const base = [1, 10, 1, 10, 1, 10, 1, 10];
  const result = ratioOf(base.map((time) => 3 * time), base);
  assertEquals([result!.median, result!.low, result!.high], [3, 3, 3]);
  assertEquals(ratioOf([], base), undefined);
});

Deno.test("wantedOf() checks elements of every result, also near the ends", () => {
  for (const each of [work, { ...work, pass: "forward" as const }]) {
    const { rows, d } = each.dimensions as { rows: number; d: number };
    const wanted = wantedOf(each);
    const [main] = wanted;
    assertEquals(main!.start, 0);
    assert(wanted.some(({ start }) => start === (rows - 1) * d));
    const outputs = new Set(wanted.map(({ output }) => output));
    assertEquals(outputs.has("gainGradient"), each.pass !== "forward");
  }
  const attention: Work = {
    name: "",
    operator: "attention",
    pass: "forward+backward",
    dimensions: { H: 2, T: 40, D: 8 },
  };
  const outputs = new Set(wantedOf(attention).map(({ output }) => output));
  assertEquals([...outputs].sort(), ["keyGradient", "queryGradient", "valueGradient"]);
});

Deno.test("works have different names", () => {
  assertEquals(new Set(works.map(({ name }) => name)).size, works.length);
});

Deno.test("exchangeAxes() undoes itself", () => {
  const numbers = Float32Array.from({ length: 24 }, (_, i) => i);
  const exchanged = exchangeAxes(numbers, [2, 3, 4]);
  assertEquals([...exchanged.subarray(0, 8)], [0, 1, 2, 3, 12, 13, 14, 15]);
  assertEquals(exchangeAxes(exchanged, [3, 2, 4]), numbers);
});
