/**
 * What tuning found out about an adapter, as the user's cache keeps it: which variant won, for
 * which calls, among which variants. One JSON file per adapter.
 *
 * Nothing in such a file is trusted: it may be old, cut off, or written by a stranger. An entry
 * counts only if everything about it holds today; others are ignored, so that the worst a file can
 * do is nothing. A file can only name variants that the operator has and the adapter can run, so
 * the answers stay right whatever it says.
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

/** A larger file is ignored unread. */
export const MAXIMUM_TUNING_BYTES = 256 * 1024;

/**
 * A file with more entries is ignored: there are not so many classes to tune for, and each
 * takes time to check.
 */
export const MAXIMUM_TUNING_ENTRIES = 128;

/** No call has a longer length. */
const MAXIMUM_LENGTH = 2 ** 24;

/** What won for the calls of one class. */
export interface TunedChoice {
  /** For example `attentionForward`. */
  readonly operator: string;
  /** What calls it is for, as the operator names them. */
  readonly shapeClass: string;
  readonly dtype: string;
  /** The call that was timed, by its lengths; it is in the class. */
  readonly dimensions: Dimensions;
  /** The winner. */
  readonly variant: string;
  /** {@linkcode candidatesHash} of the variants among which it won. */
  readonly candidatesHash: string;
  /**
   * Times in ns: the winner's, the default's, the portable variant's. For readers; no code uses
   * them.
   */
  readonly times: { readonly [variant: string]: number };
  /** When, RFC 3339. */
  readonly date: string;
}

/** What identifies an adapter: a choice made on one says nothing about another. */
export type AdapterIdentity = Readonly<Record<string, string>>;

/**
 * What identifies the adapter, its driver and the runtime.
 *
 * @param info the opened GPU
 * @param runtimeVersion of Deno; another version may compile the kernels in another way
 * @returns texts by name
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

/**
 * The name of an adapter's file.
 *
 * @param identity the adapter
 * @returns for example `5f3a….json`
 */
export async function tuningFileName(identity: AdapterIdentity): Promise<string> {
  const sorted = Object.entries(identity).sort(([a], [b]) => a < b ? -1 : 1);
  return `${(await sha256(JSON.stringify(sorted))).slice(0, 32)}.json`;
}

/**
 * A hash of everything that the candidates of a call are: their names, and the WGSL, parameters and
 * workgroups of every dispatch that each would make on this adapter, for the call and for others of
 * its class (see `kernelCalls`). It changes when any of them changes, one is added, or one no
 * longer runs here, and a choice made among others is then void. Of a custom operator it is a hash
 * of the source's digest and the names.
 *
 * @param info the adapter
 * @param operator the operator
 * @param dimensions the call
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

// A reworded comment, of more lines or fewer, leaves a choice as good as it was.
function essence(code: string): string {
  return withoutComments(code).replaceAll(/^\n+|\n+$/g, "").replaceAll(/\n{2,}/g, "\n");
}

/**
 * What {@linkcode candidatesHash} is the hash of.
 *
 * @param dry made by `createDryGpu`
 * @param operator the operator
 * @param dimensions the call
 */
export function candidatesText(
  dry: Gpu,
  operator: TunableOperator,
  dimensions: Dimensions,
): string {
  const sources = new Map<string, number>(); // a plan can run one kernel hundreds of times
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
 * @param identity the adapter
 * @param choices at most one per class
 */
export function formatTuning(identity: AdapterIdentity, choices: readonly TunedChoice[]): string {
  return JSON.stringify({ schema: TUNING_SCHEMA, adapter: identity, choices }, undefined, 2) + "\n";
}

/**
 * Reads the text of a file. Whether the choices are still valid is for {@linkcode isCurrent} to
 * say.
 *
 * @param text whatever the file holds
 * @param identity the adapter that it must be about
 * @returns the entries that are well formed; none if the file is not what it should be
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
 * The key of a choice's operator and shape class, as `gpu.variants` has it.
 *
 * @param choice the choice
 * @returns for example `rmsNormForward vector d<=1024 rows<=4096`
 */
export function choiceKey({ operator, shapeClass }: TunedChoice): string {
  return `${operator} ${shapeClass}`;
}

// Own fields only, and only those that are known: what else an object of a file holds reaches
// nothing.
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
 * Whether a choice still holds: this adapter can run such a call and the winner, and all candidates
 * are what they were.
 *
 * @param info the adapter
 * @param choice well formed, from any source
 */
export async function isCurrent(info: GpuInfo, choice: TunedChoice): Promise<boolean> {
  const operator = tunableOperators.get(choice.operator);
  const { dimensions, variant } = choice;
  // Not what runs only where it is named.
  if (operator === undefined || !operator.variants.includes(variant)) return false;
  try {
    if (operator.digest !== undefined) {
      return choice.candidatesHash === await candidatesHash(info, operator, dimensions);
    }
    using dry = createDryGpu(info);
    // The whole call by the portable kernel only: others may divide it into any number of parts.
    operator.plan(dry, dimensions, "portable").dispose();
    return operator.unfit(dry, operator.kernelCalls(dimensions)[0]!, variant) === undefined &&
      choice.candidatesHash === await candidatesHash(info, operator, dimensions);
  } catch {
    return false; // lengths that no call on this adapter can have
  }
}

/**
 * Hands choices to a GPU, those that still hold; the last one of each class counts.
 *
 * @param gpu filled in `gpu.variants`
 * @param choices well formed, from any source
 * @returns how many hold
 */
export async function applyTuning(gpu: Gpu, choices: readonly TunedChoice[]): Promise<number> {
  const current = await currentChoices(gpu.info, choices);
  for (const [key, { variant }] of current) gpu.variants.set(key, variant);
  return current.size;
}

/**
 * The choices that still hold, by what they are for.
 *
 * @param info the adapter
 * @param choices well formed, from any source; the last one of each class counts, if it holds
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
