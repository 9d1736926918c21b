/**
 * The child's side of measuring: it opens a GPU, serves requests, and reports each result as soon
 * as it is known. It also reports each step before it begins, because a kernel may crash the
 * process.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import { ceilingCandidates, usualCeilingSize } from "../ceilings/candidates.ts";
import { measureCeilings } from "../ceilings.ts";
import { GpuTimer, type HostClocks } from "../timing.ts";
import {
  chosenVariant,
  namedVariantsOf,
  tunedVariant,
  unfitVariants,
  variantsOf,
} from "../workloads/variants.ts";
import { measureBatch } from "./batch.ts";
import { ceilingSizeWithin } from "./limit.ts";
import { type ChildRequest, TURNS } from "./protocol.ts";
import { messageOf, rest, type ServeOptions, type Service } from "./service.ts";

/** Serves requests until there are no more, a request fails, or a request asks to stop. */
export async function serve(options: ServeOptions): Promise<void> {
  const service: Service = {
    ...options,
    stopped: false,
    paused: false,
    turn: undefined,
    wake: () => {},
    report: (report) => options.write(JSON.stringify(report) + "\n"),
  };
  const queue: ChildRequest[] = [];
  let wake: () => void = () => {};
  let ended = false;
  // Read requests during the work, so a stop or the end of the bench is noticed between two
  // samples.
  void (async () => {
    for await (const request of options.requests) {
      if (request.type === "stop") service.stopped = true;
      else if (request.type === "pause") service.paused = true;
      else if (request.type === "resume") service.paused = false;
      else if (request.type === "turn") service.turn = request.turn;
      else queue.push(request);
      wake();
      service.wake();
    }
    ended = true;
    service.stopped = true;
    wake();
  })();
  while (!ended) {
    const request = service.stopped ? undefined : queue.shift();
    if (request === undefined) {
      if (service.stopped) break;
      await new Promise<void>((resolve) => wake = resolve);
      continue;
    }
    try {
      await answer(service, request);
      service.report({ type: "idle" });
    } catch (error) {
      service.report({ type: "broken", reason: messageOf(error) });
      break;
    }
  }
  service.timer?.dispose();
  service.gpu?.dispose();
}

async function answer(service: Service, request: ChildRequest): Promise<void> {
  if (request.type === "describe" || request.type === "open") {
    // Load the operator first: opening the adapter reads the tuned choices of those operators that
    // are known by then.
    service.outline ??= await service.loadOperator?.();
  }
  if (request.type === "describe") {
    if (service.outline === undefined) throw new Error("there is no custom operator");
    service.report({ type: "described", outline: service.outline });
    return;
  }
  if (request.type === "open") {
    service.report({ type: "at", id: null, step: "opening the adapter" });
    const gpu = service.gpu = await service.openGpu(request.options);
    service.report({ type: "at", id: null, step: "calibrating the clock" });
    const timer = service.timer = await GpuTimer.open(gpu, { clocks: clocksFor(gpu, service) });
    const limit = service.longestRun = request.longestRun;
    service.size = limit === undefined
      ? usualCeilingSize(gpu)
      : await ceilingSizeWithin(gpu, { timer, limit });
    const warnings = timer.warning === undefined ? [] : [timer.warning];
    const opened = { info: gpu.info, timer: timer.timer, warnings, turns: TURNS };
    service.report({ type: "opened", ...opened });
    return;
  }
  const { gpu, timer } = service;
  if (gpu === undefined || timer === undefined) throw new Error("the adapter is not open");
  if (request.type === "choose") {
    const chosen = request.questions.map((question) => {
      const { kernel, pass } = question;
      let known: readonly string[] = [];
      try {
        known = [...variantsOf(kernel, pass), ...namedVariantsOf(kernel, pass)];
        const name = chosenVariant(gpu, question);
        const unfit = unfitVariants(gpu, question, request.named ?? []);
        return { name, tuned: tunedVariant(gpu, question) === name, unfit, known };
      } catch {
        // The preparation that follows will report what is wrong with the shape.
        return { name: "portable", tuned: false, unfit: {}, known };
      }
    });
    service.report({
      type: "chosen",
      names: chosen.map(({ name }) => name),
      tuned: chosen.map(({ tuned }) => tuned),
      unfit: chosen.map(({ unfit }) => unfit),
      known: chosen.map(({ known }) => known),
    });
  } else if (request.type === "ceilings") {
    const found = await measureCeilings(gpu, {
      timer,
      groups: ceilingCandidates(gpu, service.size),
      async progress({ name }) {
        await rest(service);
        service.report({ type: "at", id: null, step: `ceiling ${name}` });
      },
    });
    service.report({ type: "ceilings", ...found });
  } else if (request.type === "batch") {
    await measureBatch(service, { ...request, gpu, timer });
  }
}

// Only on software adapters does the process's CPU time include the kernels' work.
function clocksFor(gpu: Gpu, { clocks }: Service): HostClocks {
  return gpu.info.software ? clocks : { wall: clocks.wall };
}
