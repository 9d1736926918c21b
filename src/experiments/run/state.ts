/**
 * What a run's checkpoints hold besides the model and the optimizer, so a resumed run computes the
 * same numbers.
 */
import type { Gpu } from "../../gpu/gpu.ts";
import type { GpuInfo } from "../../gpu/gpu_info.ts";
import { RunError } from "./error.ts";

/** The run's own state, which a checkpoint stores in training.json. */
export interface RunState {
  /** The model's losses of the steps since the last row of metrics. */
  readonly losses: readonly number[];
  /** The oracle's losses of the same steps (see `Task.oracleLoss`); null without an oracle. */
  readonly oracleLosses: readonly (number | null)[];
  /** The adapter's description. */
  readonly adapter: string;
  /** The chosen variants (`Gpu.variants`). Others add in another order, so last bits differ. */
  readonly variants: Readonly<Record<string, string>>;
  /** SHA-256 of the task's text; null for a task without text. */
  readonly corpusDigest: string | null;
}

/**
 * Checks a run's state.
 *
 * @param value the parsed JSON
 * @throws {RunError} if it is not a run's state
 */
export function parseRunState(value: unknown): RunState {
  const state = value as Partial<RunState> | null | undefined;
  const numbers = (list: unknown, orNull: boolean) =>
    Array.isArray(list) &&
    list.every((each) => typeof each === "number" || orNull && each === null);
  const valid = numbers(state?.losses, false) && numbers(state?.oracleLosses, true) &&
    state!.losses!.length === state!.oracleLosses!.length &&
    typeof state?.adapter === "string" &&
    typeof state.variants === "object" && state.variants !== null &&
    Object.values(state.variants).every((name) => typeof name === "string") &&
    (state.corpusDigest === null || typeof state.corpusDigest === "string");
  if (!valid) throw new RunError("training.json: holds no state of a run");
  return state as RunState;
}

/**
 * Describes an adapter. With equal descriptions and variants, a resumed run should compute the same
 * bits.
 */
export function adapterOf(
  { runtime, backend, vendor, architecture, device, description }: GpuInfo,
): string {
  const name = description.trim() ||
    [vendor, architecture, device].map((part) => part.trim()).filter((part) => part !== "").join(
      " ",
    );
  return `${name || "unknown adapter"} (${runtime}, ${backend})`;
}

/**
 * Restores the run's variants if it resumes on the same adapter.
 *
 * @param note receives a line if the adapter changed
 */
export function restoreVariants(
  gpu: Gpu,
  state: RunState,
  note: ((text: string) => void) | undefined,
): void {
  const adapter = adapterOf(gpu.info);
  if (adapter !== state.adapter) {
    note?.(
      `the run began on ${state.adapter} and goes on on ${adapter}: what follows differs in rounding`,
    );
    return;
  }
  gpu.variants.clear();
  for (const [key, name] of Object.entries(state.variants)) gpu.variants.set(key, name);
}
