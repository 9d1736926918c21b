/** Describes in one line what is wrong with a file, from the schema validator's findings. */
import { truncate } from "../escape.ts";

/** The fields of a validator's finding that this file uses. */
export interface SchemaError {
  /** The JSON Schema keyword that failed. */
  readonly keyword: string;
  /** The keyword's place in the schema, as a JSON pointer that passes through `$ref`. */
  readonly keywordLocation: string;
  /** The place of the wrong value in the file, as a JSON pointer. */
  readonly instanceLocation: string;
  /** The validator's message. */
  readonly error: string;
}

function segments(pointer: string): string[] {
  return pointer.replace(/^#/, "").split("/").slice(1).map((segment) =>
    decodePointer(segment).replaceAll("~1", "/").replaceAll("~0", "~")
  );
}

function decodePointer(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // A field's name with a stray percent sign.
  }
}

/**
 * A field's place in JavaScript's notation.
 *
 * @param path the names and indices from the root
 * @returns for example `measurements[3].samples[7]`, or `the file` for the root
 */
export function pathName(path: readonly string[]): string {
  let name = "";
  for (const segment of path) {
    if (/^\d+$/.test(segment)) name += `[${segment}]`;
    else if (/^[A-Za-z_]\w*$/.test(segment)) name += name === "" ? segment : `.${segment}`;
    else name += `[${JSON.stringify(truncate(segment, 40))}]`;
  }
  return name === "" ? "the file" : truncate(name, 200);
}

function child(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

/** Looks up a place in the schema, following `$ref` on the way. */
function schemaAt(root: unknown, pointer: string): unknown {
  let node = root;
  for (const segment of segments(pointer)) {
    node = child(node, segment);
    if (segment === "$ref" && typeof node === "string") {
      node = segments(node).reduce(child, root);
    }
  }
  return node;
}

function shown(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "string" ? truncate(JSON.stringify(value), 60) : String(value);
}

function alternatives(values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value)).join(" or ");
}

const articles: Readonly<Record<string, string>> = {
  array: "a list",
  boolean: "true or false",
  integer: "an integer",
  null: "null",
  number: "a number",
  object: "an object",
  string: "a string",
};

function length(value: unknown): number {
  if (typeof value === "string") return Array.from(value).length;
  return typeof value === "object" && value !== null ? Object.keys(value).length : 0;
}

/**
 * Describes the last finding, which is the most specific one.
 *
 * @param errors the validator's findings, from the root to the wrong field
 * @param value the validated content
 * @returns for example `measurements[3].samples[7] is "fast", wanted a number`
 */
export function describeSchemaError(
  errors: readonly SchemaError[],
  value: unknown,
  schema: unknown,
): string {
  const error = errors.at(-1)!;
  const path = segments(error.instanceLocation);
  const found = path.reduce(child, value);
  const wanted = schemaAt(schema, error.keywordLocation);
  const name = pathName(path);
  // The wrong part may be a field's name instead of its content.
  const onName = error.keywordLocation.includes("/propertyNames/");
  const given = onName ? "has a name" : `is ${shown(found)}`;
  switch (error.keyword) {
    case "type":
      return `${name} ${given}, wanted ${
        [wanted].flat().map((type) => articles[String(type)] ?? String(type)).join(" or ")
      }`;
    case "required": {
      const missing = (wanted as string[]).find((key) => child(found, key) === undefined);
      return `${pathName([...path, missing ?? "?"])} is missing`;
    }
    case "enum":
      return `${name} ${given}, wanted ${alternatives(wanted as unknown[])}`;
    case "const":
      return `${name} ${given}, wanted ${JSON.stringify(wanted)}`;
    case "minimum":
      return `${name} ${given}, wanted at least ${wanted}`;
    case "maximum":
      return `${name} ${given}, wanted at most ${wanted}`;
    case "minLength":
    case "minItems":
    case "minProperties":
      return `${name} is too short: wanted a length of at least ${wanted}`;
    case "maxLength":
    case "maxItems":
    case "maxProperties":
      return onName
        ? `${name} has a name of more than ${wanted} characters`
        : `${name} has a length of ${length(found)}, wanted at most ${wanted}`;
    case "pattern":
      return `${name} ${given}${onName ? " that is not allowed" : ""}, wanted text like ${wanted}`;
    case "format":
      return `${name} ${given}, wanted a ${wanted}`;
    default:
      return `${name}: ${error.error.replace(/\.$/, "")}`;
  }
}
