import { createDryGpu } from "../../src/gpu/dry_gpu.ts";
import {
  type CandidateResult,
  type RunHeat,
  tune,
  type TuningOutcome,
  type TuningWork,
} from "../../src/measure/tuning.ts";
import { listTuningWork } from "../../src/measure/tuning/session.ts";
import { tunableOperators } from "../../src/ops/tuning/operators.ts";
import { randomUniform } from "../../src/random.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { gpuInfo } from "../support/gpu/info.ts";
import { near } from "../support/assert/near.ts";

interface Candidate {
  /** ns per run. */
  readonly time: number;
  /** Seconds to compile and check it. */
  readonly compilation?: number;
  readonly status?: CandidateResult["status"];
  /** The largest deviation of a sample from `time`, as a share of `time`. */
  readonly noise?: number;
}

function workOf(
  candidates: Readonly<Record<string, Candidate>>,
  { usual = Object.keys(candidates)[0]!, heatSize = 16 } = {},
): TuningWork {
  return {
    kernel: "rms-norm",
    pass: "forward",
    shape: { name: "a", dimensions: { rows: 4, d: 4 } },
    operator: tunableOperators.get("rmsNormForward")!,
    shapeClass: "a class",
    usual,
    candidates: Object.keys(candidates),
    unfit: [],
    heatSize,
  };
}

/** Runs heats, in which variants race, on a made-up clock. `heats` lists each heat's variants. */
class FakeTuner {
  now = 0;
  readonly heats: (readonly string[])[] = [];

  constructor(readonly kernels: Readonly<Record<string, Candidate>>) {}

  readonly runHeat: RunHeat = (_work, candidates, { preparation, sampling }) => {
    this.heats.push(candidates);
    const start = this.now;
    const results = candidates.map((variant): CandidateResult => {
      const { time, compilation = 0.01, status = "timed", noise = 0.01 } = this.kernels[variant]!;
      if (this.now - start > preparation) return { variant, status: "skipped", samples: [] };
      this.now += 1000 * compilation;
      const random = randomUniform({ seed: variant.length + this.heats.length, length: 12 });
      // Wrong and failed kernels also have samples here, but must not win.
      return {
        variant,
        status,
        samples: [...random].map((u) => time * (1 + noise * (2 * u - 1))),
      };
    });
    for (const { status } of results) if (status === "timed") this.now += sampling / 1e6;
    return Promise.resolve(results);
  };
}

async function run(
  kernels: Readonly<Record<string, Candidate>>,
  { work = [workOf(kernels)], budget = 100 }: {
    readonly work?: readonly TuningWork[];
    readonly budget?: number;
  } = {},
): Promise<{ outcomes: TuningOutcome[]; missed: readonly TuningWork[]; tuner: FakeTuner }> {
  const tuner = new FakeTuner(kernels);
  const outcomes: TuningOutcome[] = [];
  const missed = await tune(work, {
    runHeat: tuner.runHeat,
    budget,
    now: () => tuner.now,
    result(outcome) {
      outcomes.push(outcome);
      return Promise.resolve();
    },
  });
  return { outcomes, missed, tuner };
}

const three = { usual: { time: 200 }, fast: { time: 100 }, portable: { time: 800 } };

Deno.test("tune() finds the fastest kernel, and by how much it wins", async () => {
  const { outcomes: [outcome], missed } = await run(three);
  assertEquals(outcome!.winner, "fast");
  near(outcome!.overDefault, 2, 0.05);
  near(outcome!.overPortable, 8, 0.05);
  near(outcome!.times.winner, 100, 0.05);
  assertEquals(missed, []);
});

Deno.test("tune() never lets a wrong, failed or hanging kernel win, however fast it was", async () => {
  for (const status of ["wrong", "failed", "timed-out", "skipped"] as const) {
    const { outcomes: [outcome] } = await run({ ...three, cheat: { time: 1, status } });
    assertEquals(outcome!.winner, "fast");
    const cheat = outcome!.candidates.find(({ variant }) => variant === "cheat");
    assertEquals(cheat?.status, status);
  }
  const only = { usual: { time: 10, status: "wrong" }, portable: { time: 9, status: "failed" } };
  const { outcomes: [none] } = await run(only as Record<string, Candidate>);
  assertEquals([none!.winner, none!.overDefault, none!.times.winner], [
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("tune() chooses another variant if the default is wrong", async () => {
  const kernels = { ...three, usual: { time: 1, status: "wrong" as const } };
  const { outcomes: [outcome] } = await run(kernels);
  assertEquals(outcome!.winner, "fast");
  assertEquals(outcome!.overDefault, undefined);
  near(outcome!.overPortable, 8, 0.05);
});

Deno.test("tune() decides nothing if the default merely took too long and others were skipped", async () => {
  const slow = { time: 1, status: "timed-out" as const };
  const left = { time: 1, status: "skipped" as const };
  const decided = async (kernels: Record<string, Candidate>): Promise<boolean> =>
    (await run(kernels)).outcomes[0]!.decided;
  assertEquals(await decided(three), true);
  assertEquals(await decided({ ...three, usual: slow }), true); // all others were timed
  assertEquals(await decided({ ...three, left }), true);
  assertEquals(await decided({ ...three, usual: slow, left }), false);
  assertEquals(await decided({ ...three, usual: { time: 1, status: "wrong" }, left }), true);
  assertEquals(await decided({ usual: slow, portable: slow }), false);
});

Deno.test("tune() stays with the default unless another is faster for certain", async () => {
  for (let repetition = 0; repetition < 20; repetition++) {
    const name = "x".repeat(repetition + 1); // the length of its name seeds the noise
    const kernels = {
      usual: { time: 100, noise: 0.3 },
      [name]: { time: 99, noise: 0.3 },
      portable: { time: 900 },
    };
    assertEquals((await run(kernels)).outcomes[0]!.winner, "usual");
  }
});

Deno.test("tune() runs heats that fit, each with the default and the fastest so far", async () => {
  const kernels: Record<string, Candidate> = { usual: { time: 1000 } };
  for (let i = 0; i < 9; i++) kernels[`v${i}`] = { time: [700, 300, 500][i % 3]! + i };
  kernels.portable = { time: 4000 };
  const work = [workOf(kernels, { heatSize: 4 })];
  const { outcomes: [outcome], tuner } = await run(kernels, { work });
  assertEquals(outcome!.winner, "v1");
  near(outcome!.overDefault, 1000 / 301, 0.05);
  near(outcome!.overPortable, 4000 / 301, 0.05);
  assert(tuner.heats.length >= 4);
  for (const heat of tuner.heats) {
    assert(heat.length <= 4 && heat.includes("usual"), heat.join());
    assertEquals(new Set(heat).size, heat.length);
  }
  assert(tuner.heats.at(-1)!.includes("v1"));
  assertEquals(new Set(tuner.heats.flat()), new Set(Object.keys(kernels)));
});

Deno.test("tune() keeps to its budget, except for a compilation that has begun", async () => {
  const kernels: Record<string, Candidate> = {
    usual: { time: 100, compilation: 3 },
    portable: { time: 300, compilation: 3 },
  };
  for (let i = 0; i < 20; i++) kernels[`v${i}`] = { time: 90 - i, compilation: 3 };
  for (const heatSize of [3, 16]) {
    const one = workOf(kernels, { heatSize });
    const { outcomes, missed, tuner } = await run(kernels, {
      work: Array.from({ length: 8 }, () => one),
      budget: 60,
    });
    assert(tuner.now <= 1000 * (60 + 3 + 1), `${tuner.now / 1000} s of 60`);
    assertEquals(outcomes.length + missed.length, 8);
    assert(outcomes.length >= 4, `${outcomes.length} calls`);
    for (const { winner, candidates } of outcomes) {
      assert(winner !== undefined);
      assertEquals(candidates.length, 22);
      assert(candidates.some(({ status }) => status === "skipped"));
      const first = candidates.find(({ variant }) => variant === "usual");
      assertEquals(first?.status, "timed");
    }
  }
  const { outcomes, missed, tuner } = await run(kernels, { budget: 0.1 });
  assertEquals([outcomes.length, missed.length, tuner.heats.length], [0, 1, 0]);
});

Deno.test("tune() ends when interrupted, and leaves the current call undecided", async () => {
  const tuner = new FakeTuner(three);
  let results = 0;
  const work = [workOf(three), workOf(three), workOf(three)];
  const missed = await tune(work, {
    runHeat: tuner.runHeat,
    budget: 100,
    now: () => tuner.now,
    result: () => Promise.resolve(void results++),
    interrupted: () => tuner.heats.length >= 2, // in the middle of the second call
  });
  assertEquals([results, missed.length], [1, 2]);
});

const info = gpuInfo({
  limits: {
    maxBufferSize: 2 ** 30,
    maxStorageBufferBindingSize: 2 ** 30,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 128,
    maxComputeWorkgroupsPerDimension: 65535,
  },
});

Deno.test("listTuningWork() lists one call per shape class, without those that the adapter's limits rule out", () => {
  const rows = (rows: number, d: number) => ({
    kernel: "rms-norm" as const,
    pass: "forward" as const,
    shape: { name: "", dimensions: { rows, d } },
  });
  const work = listTuningWork(info, [rows(64, 512), rows(60, 500), rows(64, 511)]);
  assertEquals(work.map(({ shape }) => shape.dimensions.d), [511, 512]);
  for (const { candidates, unfit, usual } of work) {
    assert(candidates.includes("portable") && candidates.includes(usual));
    assertEquals(unfit.map(({ variant }) => variant), ["subgroup", "tile", "row-per-invocation"]);
    for (const { variant, reason } of unfit) {
      assert(reason.includes(variant === "row-per-invocation" ? "CPU" : "subgroups"), reason);
    }
  }
  assertEquals(createDryGpu(info).variants.size, 0);
});

Deno.test("listTuningWork() begins with the call of least arithmetic", () => {
  const long = { name: "", dimensions: { B: 1, Hq: 4, Hkv: 4, T: 4096, D: 64 } };
  const short = { name: "", dimensions: { rows: 64, d: 64 } };
  const work = listTuningWork({ ...info, software: true }, [
    { kernel: "attention", pass: "backward", shape: long },
    { kernel: "attention", pass: "forward", shape: long },
    { kernel: "rms-norm", pass: "forward", shape: short },
  ]).map(({ kernel, pass }) => `${kernel} ${pass}`);
  assertEquals(work[0], "rms-norm forward");
  assertEquals(work, work.toSorted().reverse());
});

Deno.test("listTuningWork() lets fewer candidates run together the more memory they take", () => {
  const sizes = [1024, 2 ** 22].map((rows) =>
    listTuningWork(info, [{
      kernel: "rms-norm",
      pass: "forward",
      shape: { name: "", dimensions: { rows, d: 64 } },
    }])[0]!.heatSize
  );
  assert(sizes[0] === 16 && sizes[1] === 3, sizes.join());
});
