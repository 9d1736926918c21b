/** The state of a measuring process, and how it waits during a pause and for its turn. */
import type { Gpu } from "../../gpu/gpu.ts";
import type { OpenGpuOptions } from "../../ops/open_gpu_options.ts";
import type { CeilingSize } from "../ceilings/candidates.ts";
import type { OperatorOutline } from "../custom_operator/outline.ts";
import type { Job } from "../jobs.ts";
import type { Turn, TurnState } from "../sampling/turns.ts";
import type { GpuTimer, HostClocks } from "../timing.ts";
import type { Workload, WorkloadOptions } from "../workloads.ts";
import type { ChildReport, ChildRequest, ChildTurn } from "./protocol.ts";

export interface ServeOptions {
  readonly requests: AsyncIterable<ChildRequest>;
  /** Writes a line at once, because the process may crash at the next step. */
  readonly write: (line: string) => void;
  readonly clocks: HostClocks;
  readonly openGpu: (options: OpenGpuOptions) => Promise<Gpu>;
  readonly createWorkload: (gpu: Gpu, options: WorkloadOptions) => Workload;
  /** Runs the file of a custom operator and adds the operator; called at most once. */
  readonly loadOperator?: () => Promise<OperatorOutline>;
}

/** A running measuring process. */
export interface Service extends ServeOptions {
  readonly report: (report: ChildReport) => void;
  /** The custom operator, once loaded. */
  outline?: OperatorOutline | undefined;
  gpu?: Gpu;
  timer?: GpuTimer;
  /** The size of the ceilings' kernels. */
  size?: CeilingSize;
  /** The longest allowed run, in ns. */
  longestRun?: number | undefined;
  stopped: boolean;
  paused: boolean;
  /** The turn that was given but has not begun. */
  turn: ChildTurn | undefined;
  /** Wakes a process that pauses or waits for its turn, so it reads the fields above again. */
  wake: () => void;
}

/** Waits during a pause, and tells the bench every second that an answer will come. */
export async function rest(service: Service): Promise<void> {
  while (service.paused && !service.stopped) {
    service.report({ type: "at", id: null, step: "paused" });
    const { promise, resolve } = Promise.withResolvers<void>();
    service.wake = resolve;
    const timer = setTimeout(resolve, 1000);
    await promise;
    clearTimeout(timer);
  }
}

/** Reports that this process waits, and sleeps until it gets its turn or must stop. */
export async function nextTurn(
  service: Service,
  { state: { after, plans, time }, jobs }: {
    readonly state: TurnState;
    readonly jobs: readonly Job[];
  },
): Promise<Turn> {
  service.report({
    type: "waiting",
    after,
    ...plans && { plans: [...plans].map(([index, plan]) => [jobs[index]!.id, plan] as const) },
    ...time === undefined ? {} : { time },
  });
  while (service.turn === undefined && !service.stopped) {
    await new Promise<void>((resolve) => service.wake = resolve);
  }
  const { turn } = service;
  service.turn = undefined;
  if (turn === undefined) return { step: "end", reasons: new Map() };
  const indexOf = (id: number): number => jobs.findIndex((job) => job.id === id);
  if (turn.step === "calibrate") return turn;
  if (turn.step === "visit") {
    const { step, id, sweep, plan } = turn;
    return { step, index: indexOf(id), sweep, plan };
  }
  return { step: "end", reasons: new Map(turn.reasons.map(([id, why]) => [indexOf(id), why])) };
}

export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/g, " ").slice(0, 1900);
}
