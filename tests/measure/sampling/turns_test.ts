import { sampleInTurns, type Turn, type TurnState } from "../../../src/measure/sampling/turns.ts";
import type { VisitOptions } from "../../../src/measure/sampling/visits.ts";
import type { Span } from "../../../src/measure/timing.ts";
import { assert, assertEquals, assertRejects } from "../../support/assert/assert.ts";

/**
 * A fake machine. Each run of `span(name)` advances its clock by `times[name]` ns and adds the name
 * to `log`.
 */
function machine(times: Readonly<Record<string, number>>) {
  let now = 0;
  const log: string[] = [];
  const span = (name: string): Span => () => {
    log.push(name);
    now += times[name]!;
  };
  const timer: VisitOptions["timer"] = {
    timer: { kind: "timestamp", quantum: 1 },
    minimumSpan: 50,
    time(spans, { first } = {}) {
      const pass = {} as GPUComputePassEncoder;
      first?.(pass);
      const start = now;
      const found = spans.map((span) => {
        const begin = now;
        span(pass);
        return now === begin ? undefined : now - begin;
      });
      return Promise.resolve({ spans: found, wall: now - start, cpu: 2 * (now - start) });
    },
  };
  return { log, span, options: { timer, reference: span("reference"), maximumSamples: 64 } };
}

const work = (span: (name: string) => Span) =>
  ["a", "b"].map((name) => ({ run: span(name), cache: "hot" as const }));

/** Each call of `turn()` returns the next of these turns; `said` lists the calls' arguments. */
function given(turns: readonly Turn[]) {
  const said: TurnState[] = [];
  return { said, turn: (state: TurnState) => Promise.resolve(turns[said.push(state) - 1]!) };
}

const plan = { repeats: 2, spansPerSample: 1, samplesPerVisit: 3 };

Deno.test("sampleInTurns() does nothing before its first turn, and then what each turn says", async () => {
  const { log, span, options } = machine({ a: 1e6, b: 3e6, reference: 1e6 });
  const { said, turn } = given([
    { step: "calibrate" },
    { step: "visit", index: 1, sweep: 4, plan },
    { step: "visit", index: 1, sweep: 5, plan },
    { step: "end", reasons: new Map([[0, "budget"], [1, "precise"]]) },
  ]);
  const [a, b] = await sampleInTurns(work(span), {
    ...options,
    turn(state) {
      if (state.after === "preparation") assertEquals(log, []);
      return turn(state);
    },
  });
  assertEquals(a, undefined, "it was not visited");
  assertEquals(b!.samples, Array(6).fill(3e6));
  assertEquals([b!.rounds, b!.sweeps, b!.repeats], [[3, 3], [4, 5], 2]);
  assertEquals(b!.stopReason, "precise");
  assertEquals(said.map(({ after, time }) => [after, time]), [
    ["preparation", undefined],
    ["calibration", undefined],
    ["visit", 3e6],
    ["visit", 3e6],
  ]);
  const plans = said[1]!.plans!;
  assertEquals([...plans.keys()], [0, 1]);
  assert(plans.get(0)!.samplesPerVisit > plans.get(1)!.samplesPerVisit, "ten ms a visit");
});

Deno.test("sampleInTurns() reports a visit without times, and records no sweep for it", async () => {
  const times: Record<string, number> = { a: 1e6, b: 1e6, reference: 1e6 };
  const { span, options } = machine(times);
  const { said, turn } = given([
    { step: "calibrate" },
    { step: "visit", index: 0, sweep: 0, plan },
    { step: "visit", index: 0, sweep: 1, plan },
    { step: "end", reasons: new Map() },
  ]);
  const [a] = await sampleInTurns(work(span), {
    ...options,
    turn(state) {
      times.a = said.length === 1 ? 0 : 1e6;
      return turn(state);
    },
  });
  assertEquals(said.slice(2).map(({ time }) => time), [undefined, 1e6]);
  assertEquals([a!.sweeps, a!.rounds, a!.stopReason], [[1], [3], "interrupted"]);
});

Deno.test("sampleInTurns() can end before its first visit, and refuses a turn for unknown work", async () => {
  const { log, span, options } = machine({ a: 1e6, b: 1e6, reference: 1e6 });
  const none = given([{ step: "end", reasons: new Map() }]);
  assertEquals(await sampleInTurns(work(span), { ...options, turn: none.turn }), [
    undefined,
    undefined,
  ]);
  assertEquals(log, []);
  const lost = given([{ step: "calibrate" }, { step: "visit", index: -1, sweep: 0, plan }]);
  await assertRejects(() => sampleInTurns(work(span), { ...options, turn: lost.turn }), Error);
});
