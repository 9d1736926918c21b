/** The type of a property that checks measurements of sinks, and helpers that many of these use. */
import type { SinkSettings } from "../../../../src/sinks/measurement/settings.ts";
import { assert, assertEquals } from "../../assert/assert.ts";
import type { handTrace } from "../../model/traces.ts";

/** The measuring modules, possibly with one of them broken. */
export interface SinkModules {
  readonly SinkMeter: typeof import("../../../../src/sinks/meter.ts").SinkMeter;
  readonly checkTheory: typeof import("../../../../src/sinks/theory.ts").checkTheory;
}

export interface SinkProperty {
  readonly name: string;
  check(modules: SinkModules): void;
}

export function near(actual: number | null | undefined, wanted: number, what: string): void {
  const close = typeof actual === "number" &&
    Math.abs(actual - wanted) <= 1e-12 * Math.max(1, Math.abs(wanted));
  assert(close, `${what} is ${actual}, wanted ${wanted}`);
}

export function allNear(
  actual: readonly (number | null)[] | undefined,
  wanted: readonly number[],
  what: string,
): void {
  assertEquals(actual?.length, wanted.length, what);
  wanted.forEach((value, i) => near(actual![i], value, `${what} [${i}]`));
}

export const mean = (values: readonly number[]) =>
  values.reduce((a, b) => a + b, 0) / values.length;

export function measure(
  { SinkMeter }: SinkModules,
  { config, trace }: ReturnType<typeof handTrace>,
  options: { readonly settings?: Partial<SinkSettings>; readonly idle?: readonly number[] } = {},
) {
  const meter = new SinkMeter({ config, context: trace.context, settings: options.settings });
  meter.add(trace, { idle: options.idle && Uint8Array.from(options.idle) });
  return meter.result();
}

/** Settings for traces of few tokens. */
export const small: Partial<SinkSettings> = { early: [1, 2], lastGradientPosition: 2, idleFrom: 0 };
