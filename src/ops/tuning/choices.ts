/**
 * An adapter's tuned choices, as the user's cache keeps them: which variant won, for which calls,
 * among which variants. There is one JSON file per adapter, and one more for each custom operator.
 *
 * No such file is trusted: it may be old, incomplete, or from a stranger. Entries that are no
 * longer valid are ignored. A file can only choose between variants that the operator has and the
 * adapter can run, so results stay right whatever it contains.
 */
import { withoutComments } from "../../gpu/without_comments.ts";
import { createDryGpu, recordPlan } from "../../gpu/dry_gpu.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { GpuInfo } from "../../gpu/gpu_info.ts";
import { sha256 } from "../../sha256.ts";
import { type Dimensions, type TunableOperator, tunableOperators } from "./operators.ts";
import { isRecord } from "../../files/untrusted_json.ts";

/** The first field of every file. */
export const TUNING_SCHEMA = "gradsink-tuning/1";

/** A larger file is ignored without reading it. */
export const MAXIMUM_TUNING_BYTES = 256 * 1024;

/**
 * A file with more entries is ignored, because each entry takes time to check. `storeTuning` never
 * writes more.
 */
export const MAXIMUM_TUNING_ENTRIES = 128;

/** A choice whose call has a greater length is ignored. */
const MAXIMUM_LENGTH = 2 ** 24;

/** The winner for the calls of one class. */
export interface TunedChoice {
  /** For example `attentionForward`. */
  readonly operator: string;
  /** The class of calls as the operator names it, for example `D=64 T<=1024`. */
  readonly shapeClass: string;
  readonly dtype: string;
  /** The lengths of the timed call, which is in the class. */
  readonly dimensions: Dimensions;
  /** The winner. */
  readonly variant: string;
  /** {@linkcode candidatesHash} of the variants that competed. */
  readonly candidatesHash: string;
  /**
   * Times in ns of the winner, the default and the portable variant, under the names `winner`,
   * `default` and `portable`. They are for readers; no code uses them.
   */
  readonly times: { readonly [variant: string]: number };
  /** When it was measured, as RFC 3339. */
  readonly date: string;
}

/** The texts that identify an adapter: a choice for one adapter is not valid for another. */
export type AdapterIdentity = Readonly<Record<string, string>>;

/**
 * Identifies the adapter, its driver and the runtime.
 *
 * @param runtimeVersion Deno's version, because another version may compile kernels differently
 */
export function adapterIdentity(info: GpuInfo, runtimeVersion: string): AdapterIdentity {
  const { runtime, backend, vendor, architecture, device, description, subgroupSize } = info;
  const subgroups = subgroupSize === undefined
    ? "none"
    : `${subgroupSize.minimum}-${subgroupSize.maximum}`;
  return {
    runtime: `${runtime} ${runtimeVersion}`,
    backend,
    vendor,
    architecture,
    device,
    description,
    subgroups,
  };
}

/** The name of an adapter's file, for example `5f3a….json`. */
export async function tuningFileName(identity: AdapterIdentity): Promise<string> {
  const sorted = Object.entries(identity).sort(([a], [b]) => a < b ? -1 : 1);
  return `${(await sha256(JSON.stringify(sorted))).slice(0, 32)}.json`;
}

/**
 * A hash of all candidates for a call. It covers their names, and the WGSL, the parameters and the
 * workgroups of every dispatch that a candidate would make on this adapter for the calls of
 * `kernelCalls`. If a candidate changes, is added, or no longer runs here, the hash changes, and
 * earlier choices become invalid. For a custom operator, the hash covers only the digest of its
 * source and the names of its variants.
 *
 * @returns 64 hexadecimal digits
 * @throws {RangeError} if the adapter cannot run the call
 */
export async function candidatesHash(
  info: GpuInfo,
  operator: TunableOperator,
  dimensions: Dimensions,
): Promise<string> {
  if (operator.digest !== undefined) {
    return await sha256(JSON.stringify([operator.digest, operator.variants]));
  }
  using dry = createDryGpu(info);
  return await sha256(candidatesText(dry, operator, dimensions));
}

// Removes comments and the empty lines that they leave, so new comments do not invalidate a choice.
function essence(code: string): string {
  return withoutComments(code).replaceAll(/^\n+|\n+$/g, "").replaceAll(/\n{2,}/g, "\n");
}

/**
 * The text that {@linkcode candidatesHash} hashes.
 *
 * @param dry a GPU from `createDryGpu`
 */
export function candidatesText(
  dry: Gpu,
  operator: TunableOperator,
  dimensions: Dimensions,
): string {
  const sources = new Map<string, number>(); // One entry per kernel, however often it runs.
  const numberOf = (code: string): number => {
    if (!sources.has(code)) sources.set(code, sources.size);
    return sources.get(code)!;
  };
  const candidates = operator.kernelCalls(dimensions).map((call) =>
    operator.variants.map((variant) => {
      if (operator.unfit(dry, call, variant) !== undefined) return [variant];
      using plan = operator.plan(dry, call, variant);
      return [
        variant,
        recordPlan(plan).dispatches.map(({ code, parameters, workgroups }) => [
          numberOf(essence(code)),
          parameters,
          workgroups,
        ]),
      ];
    })
  );
  return JSON.stringify({ candidates, sources: [...sources.keys()] });
}

/**
 * Writes choices as the text of a file.
 *
 * @param choices at most one per class
 */
export function formatTuning(identity: AdapterIdentity, choices: readonly TunedChoice[]): string {
  return JSON.stringify({ schema: TUNING_SCHEMA, adapter: identity, choices }, undefined, 2) + "\n";
}

/**
 * Reads the text of a file. {@linkcode isCurrent} tells whether the choices are still valid.
 *
 * @param text the file's content, of any form
 * @param identity the adapter that the file must name
 * @returns the well-formed entries; none if the file has a wrong form or names another adapter
 */
export function parseTuning(text: string, identity: AdapterIdentity): TunedChoice[] {
  if (text.length > MAXIMUM_TUNING_BYTES) return [];
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    return [];
  }
  if (!isRecord(file) || file.schema !== TUNING_SCHEMA || !isRecord(file.adapter)) return [];
  const { adapter, choices } = file;
  const names = Object.keys(identity);
  const same = Object.keys(adapter).length === names.length &&
    names.every((name) => Object.hasOwn(adapter, name) && adapter[name] === identity[name]);
  if (!same || !Array.isArray(choices) || choices.length > MAXIMUM_TUNING_ENTRIES) return [];
  return (choices as unknown[]).map(parseChoice).filter((choice) => choice !== undefined);
}

/**
 * The key of a choice's operator and shape class in `gpu.variants`, for example `rmsNormForward
 * vector d<=1024 rows<=4096`.
 */
export function choiceKey({ operator, shapeClass }: TunedChoice): string {
  return `${operator} ${shapeClass}`;
}

// Reads only an entry's own, known fields, so other contents of a file have no effect.
function parseChoice(value: unknown): TunedChoice | undefined {
  if (!isRecord(value)) return undefined;
  const own = (name: string): unknown => Object.hasOwn(value, name) ? value[name] : undefined;
  const text = (name: string): string | undefined => {
    const found = own(name);
    return typeof found === "string" && found.length <= 200 ? found : undefined;
  };
  const operator = tunableOperators.get(text("operator") ?? "");
  const variant = text("variant");
  const hash = text("candidatesHash");
  const shapeClass = text("shapeClass");
  const dimensions = operator && parseDimensions(own("dimensions"), operator);
  if (
    operator === undefined || dimensions === undefined || variant === undefined ||
    !operator.variants.includes(variant) || hash === undefined || !/^[0-9a-f]{64}$/.test(hash) ||
    text("dtype") !== "f32" || shapeClass !== operator.shapeClass(dimensions)
  ) return undefined;
  return {
    operator: operator.operator,
    shapeClass,
    dtype: "f32",
    dimensions,
    variant,
    candidatesHash: hash,
    times: parseTimes(own("times")),
    date: /^[\dTZ:.+-]{1,40}$/.exec(text("date") ?? "")?.[0] ?? "",
  };
}

function parseDimensions(value: unknown, operator: TunableOperator): Dimensions | undefined {
  if (!isRecord(value)) return undefined;
  const names = operator.dimensionNames;
  if (!Object.keys(value).every((name) => names.includes(name))) return undefined;
  const dimensions: Record<string, number> = {};
  for (const name of names) {
    const length = Object.hasOwn(value, name) ? value[name] : undefined;
    const isSwitch = name.startsWith("transpose");
    if (isSwitch && length === undefined) continue;
    const valid = typeof length === "number" && Number.isSafeInteger(length) &&
      length >= (isSwitch ? 0 : 1) && length <= (isSwitch ? 1 : MAXIMUM_LENGTH);
    if (!valid) return undefined;
    dimensions[name] = length;
  }
  return dimensions;
}

function parseTimes(value: unknown): Record<string, number> {
  const times: Record<string, number> = {};
  if (!isRecord(value)) return times;
  for (const name of ["winner", "default", "portable"]) {
    const time = Object.hasOwn(value, name) ? value[name] : undefined;
    if (typeof time === "number" && Number.isFinite(time) && time > 0) times[name] = time;
  }
  return times;
}

/**
 * Whether a choice is still valid: this adapter can run the call and the winner, and the candidates
 * are unchanged.
 *
 * @param choice a well-formed choice from any source
 */
export async function isCurrent(info: GpuInfo, choice: TunedChoice): Promise<boolean> {
  const operator = tunableOperators.get(choice.operator);
  const { dimensions, variant } = choice;
  // `operator.variants` excludes variants that run only if named, so no file can choose them.
  if (operator === undefined || !operator.variants.includes(variant)) return false;
  try {
    if (operator.digest !== undefined) {
      return choice.candidatesHash === await candidatesHash(info, operator, dimensions);
    }
    using dry = createDryGpu(info);
    // Planning the whole call throws if the adapter cannot run it. Only the portable variant plans
    // a call of any length quickly: other variants may divide the call into many parts.
    operator.plan(dry, dimensions, "portable").dispose();
    return operator.unfit(dry, operator.kernelCalls(dimensions)[0]!, variant) === undefined &&
      choice.candidatesHash === await candidatesHash(info, operator, dimensions);
  } catch {
    return false; // The adapter cannot run a call with these lengths.
  }
}

/**
 * Gives a GPU the choices that are still valid. If several are of one class, the last one counts.
 *
 * @param gpu the GPU; `gpu.variants` receives the choices
 * @param choices well-formed choices from any source
 * @returns the number of classes with a valid choice
 */
export async function applyTuning(gpu: Gpu, choices: readonly TunedChoice[]): Promise<number> {
  const current = await currentChoices(gpu.info, choices);
  for (const [key, { variant }] of current) gpu.variants.set(key, variant);
  return current.size;
}

/**
 * The choices that are still valid, by {@linkcode choiceKey}.
 *
 * @param choices well-formed choices from any source; the last valid one of each class counts
 */
export async function currentChoices(
  info: GpuInfo,
  choices: readonly TunedChoice[],
): Promise<Map<string, TunedChoice>> {
  const current = new Map<string, TunedChoice>();
  for (const choice of choices) {
    if (await isCurrent(info, choice)) current.set(choiceKey(choice), choice);
  }
  return current;
}
