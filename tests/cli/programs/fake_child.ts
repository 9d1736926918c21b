/**
 * A measuring process without a GPU. It answers at once with made-up numbers, so that tests of the
 * bench are fast. From process to process its times differ by a few thousandths. If asked to use
 * tuned choices, it says that there are some. `FAKE_CHILD`, or the first argument, is JSON with its
 * instructions:
 *
 * - `pace`: ms per measurement
 * - `adapter`: the adapter that it claims to have
 * - `unfit`: variants that it claims not to run
 * - `slow`: a factor on its times, such as 1.1
 * - `crash`: the round of processes in which it crashes at job 0
 * - `turns`: which version of the protocol for measuring in turns it claims to know
 * - `known`: the variants that it claims to have
 * - `lacks`: operators that it claims to lack
 */
import { readLines } from "../../../src/files/json_lines.ts";
import type { ChildReport, ChildRequest } from "../../../src/measure/child/protocol.ts";
import type { Measurement } from "../../../src/measure/result_file.ts";

const { pace = 5, adapter = "fake", unfit = [], slow = 1, crash, turns, known, lacks = [] } = JSON
  .parse(
    Deno.args[0] ?? Deno.env.get("FAKE_CHILD") ?? "{}",
  ) as {
    turns?: number;
    known?: readonly string[];
    lacks?: readonly string[];
    pace?: number;
    adapter?: string;
    unfit?: readonly string[];
    slow?: number;
    crash?: number;
  };
const timer = { kind: "timestamp", quantum: 1 } as const;
let stopped = false;
let tuning = false;

function report(message: ChildReport): void {
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(message) + "\n"));
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, pace));
}

async function answer(request: ChildRequest): Promise<void> {
  if (request.type === "open") {
    tuning = request.options.tuning ?? true;
    const description = `${adapter} adapter`;
    const info = {
      runtime: "deno",
      backend: "vulkan",
      vendor: "fake",
      architecture: "",
      device: "",
      description,
      software: true,
      features: [],
      limits: {},
    } as const;
    report({ type: "opened", info, timer, warnings: [], ...turns === undefined ? {} : { turns } });
  } else if (request.type === "choose") {
    report({
      type: "chosen",
      names: request.questions.map(() => "portable"),
      ...known === undefined ? {} : {
        known: request.questions.map(({ kernel }) => lacks.includes(kernel) ? [] : known),
      },
      tuned: request.questions.map(() => tuning),
      unfit: request.questions.map(() =>
        Object.fromEntries(
          (request.named ?? []).filter((name) => unfit.includes(name)).map((
            name,
          ) => [name, "the adapter has no f16"]),
        )
      ),
    });
  } else if (request.type === "ceilings") {
    report({
      type: "ceilings",
      ceilings: { f32Fma: { value: 1e11, unit: "flop/s" } },
      warnings: [],
    });
  } else if (request.type === "batch") {
    const { round = 0, checked = [] } = request;
    for (const job of request.jobs) {
      report({ type: "at", id: job.id, step: "taking samples" });
      await pause();
      if (job.id === 0 && round === crash) Deno.exit(9);
      const time = slow * (1000 + job.id) * (1 + 0.003 * Math.sin(17 * job.id + round));
      const { kernel, pass, dtype, variant, cache } = job;
      const measurement: Measurement = {
        kernel,
        pass,
        shape: job.shape.dimensions,
        dtype,
        variant,
        tuning: job.tuned === true ? { tuned: true } : {},
        flops: 1e6,
        bytes: 1e6,
        cache,
        timer,
        samples: [time, 1.001 * time],
        ...checked.includes(job.id) ? {} : { correctness: { error: 0, tolerance: 1 } },
        stopReason: stopped ? "interrupted" : "precise",
      };
      report({ type: "measured", id: job.id, measurement });
      if (stopped) break;
    }
  }
  report({ type: "idle" });
}

Deno.addSignalListener("SIGINT", () => {});
let queue = Promise.resolve();
for await (const request of readLines<ChildRequest>(Deno.stdin.readable)) {
  if (request.type === "stop") stopped = true;
  else queue = queue.then(() => answer(request));
}
Deno.exit(0);
