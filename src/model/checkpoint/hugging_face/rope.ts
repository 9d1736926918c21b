/**
 * Reads RoPE from config.json: `rope_theta` and `rope_scaling` of transformers 4, `rope_parameters`
 * of version 5, or both if they agree.
 */
import type { RopeScaling } from "../../../reference/llama/rope.ts";
import { CheckpointError } from "../error.ts";
import { objectOf, shown } from "../json.ts";

/** RoPE's base and scaling. */
export interface RopeFields {
  readonly ropeBase: unknown;
  /** undefined for plain RoPE. */
  readonly ropeScaling: RopeScaling | undefined;
  /** Unknown fields inside RoPE's fields. */
  readonly unknownFields: readonly string[];
}

/** The fields of each scaling type, besides its name. */
const FIELDS = {
  default: [],
  linear: ["factor"],
  llama3: ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
} as const;

/** The base that transformers uses if the file names none. */
const DEFAULT_BASE = 10_000;

/**
 * Reads RoPE's fields.
 *
 * @throws {CheckpointError} if they are malformed, contradict each other, differ between kinds of
 *   layers, ask for an unsupported scaling or a partial rotation, or lack a number
 */
export function readRope(fields: Readonly<Record<string, unknown>>, path: string): RopeFields {
  const groups = (["rope_parameters", "rope_scaling"] as const)
    .filter((name) => isGiven(fields[name]))
    .map((name) => readGroup(name, fields, path));
  const bases = [
    { name: "rope_theta", value: fields.rope_theta },
    ...groups.map(({ name, base }) => ({ name: `${name}.rope_theta`, value: base })),
  ].filter(({ value }) => isGiven(value));
  agree(bases, path);
  agree(groups.map(({ name, scaling }) => ({ name, value: scaling ?? "default" })), path);
  return {
    ropeBase: bases[0]?.value ?? DEFAULT_BASE,
    ropeScaling: groups[0]?.scaling,
    unknownFields: groups.flatMap(({ unknownFields }) => unknownFields),
  };
}

/**
 * Refuses fields that mean the same but have different values, because programs that read one or
 * the other would compute different models.
 */
function agree(
  given: readonly { readonly name: string; readonly value: unknown }[],
  path: string,
): void {
  const [first, ...others] = given;
  for (const { name, value } of others) {
    if (JSON.stringify(value) === JSON.stringify(first!.value)) continue;
    throw new CheckpointError(
      `${path}: ${first!.name} is ${shown(first!.value)}, but ${name} is ${shown(value)}: ` +
        "remove the one that is not the model's",
    );
  }
}

interface Group {
  readonly name: string;
  readonly base: unknown;
  readonly scaling: RopeScaling | undefined;
  readonly unknownFields: readonly string[];
}

interface Place {
  /** Where RoPE's fields are in config.json, such as `rope_parameters.full_attention`. */
  readonly name: string;
  /** The file, for messages. */
  readonly path: string;
  /** All of config.json's fields. */
  readonly fields: Readonly<Record<string, unknown>>;
}

function readGroup(
  field: "rope_parameters" | "rope_scaling",
  fields: Readonly<Record<string, unknown>>,
  path: string,
): Group {
  const outer = objectOf(fields[field], `${path}: ${field}`);
  if (!LAYER_KINDS.some((kind) => isGiven(outer[kind]))) {
    return readInner(outer, { name: field, path, fields });
  }
  // Here the field has an object for each kind of layer, with RoPE's parameters for that kind.
  const others = Object.keys(outer).filter((each) => !LAYER_KINDS.includes(each));
  const [first, ...rest] = kindsOf(outer, { name: field, path, fields }).map((kind) => {
    const name = `${field}.${kind}`;
    return readInner(objectOf(outer[kind], `${path}: ${name}`), { name, path, fields });
  });
  const meaning = ({ base, scaling }: Group) =>
    JSON.stringify([base ?? fields.rope_theta ?? DEFAULT_BASE, scaling ?? "default"]);
  for (const group of rest) {
    if (meaning(group) === meaning(first!)) continue;
    throw new CheckpointError(
      `${path}: ${first!.name} and ${group.name} differ: layers with different RoPE are not ` +
        "computed",
    );
  }
  return {
    ...first!,
    unknownFields: [
      ...others.map((each) => `${field}.${each}`),
      ...[first!, ...rest].flatMap(({ unknownFields }) => unknownFields),
    ],
  };
}

const LAYER_KINDS: readonly string[] = ["full_attention", "sliding_attention"];

/** The kinds of the model's layers; without `layer_types`, the kinds that have parameters. */
function kindsOf(
  group: Readonly<Record<string, unknown>>,
  { name, path, fields: { layer_types: types } }: Place,
): string[] {
  const kinds = LAYER_KINDS.filter((kind) => Array.isArray(types) && types.includes(kind));
  if (kinds.length === 0) return LAYER_KINDS.filter((kind) => isGiven(group[kind]));
  const missing = kinds.find((kind) => !isGiven(group[kind]));
  if (missing === undefined) return kinds;
  throw new CheckpointError(`${path}: ${name} lacks ${missing}, which layer_types names`);
}

function isGiven(value: unknown): boolean {
  return (value ?? null) !== null;
}

function readInner(inner: Readonly<Record<string, unknown>>, place: Place): Group {
  const { name, path } = place;
  const { rope_type: newType, type: oldType, rope_theta: base } = inner;
  agree(
    [{ name: `${name}.rope_type`, value: newType }, { name: `${name}.type`, value: oldType }]
      .filter(({ value }) => isGiven(value)),
    path,
  );
  const type = newType ?? oldType ?? (isPlain(inner) ? "default" : undefined);
  if (typeof type !== "string" || !Object.hasOwn(FIELDS, type)) {
    throw new CheckpointError(
      `${path}: ${name}.rope_type is ${shown(type)}, wanted one of ${
        Object.keys(FIELDS).join(", ")
      }`,
    );
  }
  const share = inner.partial_rotary_factor ?? 1;
  if (share !== 1) {
    throw new CheckpointError(
      `${path}: ${name}.partial_rotary_factor is ${shown(share)}, wanted 1`,
    );
  }
  const known = ["rope_type", "type", "rope_theta", "partial_rotary_factor"];
  const own = FIELDS[type as keyof typeof FIELDS] as readonly string[];
  return {
    name,
    base,
    scaling: scalingOf(type as keyof typeof FIELDS, inner, place),
    unknownFields: Object.keys(inner)
      .filter((each) => !known.includes(each) && !own.includes(each))
      // A null field sets nothing.
      .filter((each) => inner[each] !== null)
      .map((each) => `${name}.${each}`),
  };
}

/** Whether the fields ask for no scaling, as `{}` and `{"rope_theta": …}` do. */
function isPlain(group: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(group).every((name) => name === "rope_theta");
}

function scalingOf(
  type: keyof typeof FIELDS,
  group: Readonly<Record<string, unknown>>,
  { name, path, fields }: Place,
): RopeScaling | undefined {
  const number = (field: string, value: unknown = group[field]): number => {
    if (typeof value === "number") return value;
    throw new CheckpointError(`${path}: ${name}.${field} is ${shown(value)}, wanted a number`);
  };
  switch (type) {
    case "default":
      return undefined;
    case "linear":
      return { type, factor: number("factor") };
    case "llama3":
      return {
        type,
        factor: number("factor"),
        lowFrequencyFactor: number("low_freq_factor"),
        highFrequencyFactor: number("high_freq_factor"),
        originalPositions: number(
          "original_max_position_embeddings",
          group.original_max_position_embeddings ?? fields.original_max_position_embeddings,
        ),
      };
  }
}
