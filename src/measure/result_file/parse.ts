/**
 * Reading and writing result files as text. They come from strangers: size, depth and every field
 * are checked before anything else looks at them. Nothing here touches the file system.
 */
import { Validator } from "@cfworker/json-schema";
import { escapeTerminal, truncate } from "../../escape.ts";
import { MAXIMUM_RESULT_BYTES, type ResultFile, ResultFileError } from "../result_file.ts";
import { describeSchemaError, pathName } from "../../files/schema_problem.ts";
import schema from "./schema.json" with { type: "json" };

// The deepest field that the schema names is at 5 (measurements, item, timer, …); the rest is room
// for newer minor versions. JSON.parse and the validator recurse, and stacks are finite.
const MAXIMUM_DEPTH = 32;

// Names that reach an object's prototype when somebody writes `target[name] = …`.
const forbiddenNames = new Set(["__proto__", "constructor", "prototype"]);

const validator = new Validator(schema as never, "2020-12", true);

/** How deep brackets and braces nest in JSON text, without building anything from it. */
function nestingDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (inString) {
      if (unit === 0x5c) i++; // A backslash hides the next character.
      else if (unit === 0x22) inString = false;
    } else if (unit === 0x22) inString = true;
    else if (unit === 0x5b || unit === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (unit === 0x5d || unit === 0x7d) depth--;
  }
  return deepest;
}

/**
 * Where a value holds what JSON or an object must not hold; undefined if nowhere.
 *
 * @param value of a stranger's file
 */
export function contentProblem(value: unknown): string | undefined {
  return forbiddenContent(value, []);
}

function forbiddenContent(value: unknown, path: readonly string[]): string | undefined {
  if (typeof value === "number" && !Number.isFinite(value)) {
    return `${pathName(path)} is ${value}, wanted a finite number`;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (path.length >= MAXIMUM_DEPTH) return `nests deeper than ${MAXIMUM_DEPTH} levels`;
  for (const key of Object.keys(value)) {
    if (forbiddenNames.has(key)) {
      return `${pathName([...path, key])} is a field name that is not allowed`;
    }
    const problem = forbiddenContent((value as Record<string, unknown>)[key], [...path, key]);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** What the version field says is wrong; undefined if this code can read it. */
function versionProblem(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return "is not a result file: wanted a JSON object";
  }
  const version = Object.hasOwn(value, "schema")
    ? (value as { schema: unknown }).schema
    : undefined;
  if (typeof version !== "string" || !version.startsWith("gradsink-results/")) {
    return `is not a result file: schema is ${
      version === undefined ? "missing" : truncate(JSON.stringify(version), 60)
    }, wanted "gradsink-results/1"`;
  }
  const major = /^gradsink-results\/(\d+)(?:\.\d+)?$/.exec(version)?.[1];
  if (major !== undefined && Number(major) > 1) {
    return `was written by a newer gradsink (${
      truncate(version, 60)
    }): this one reads gradsink-results/1, update it`;
  }
  return undefined;
}

/** What a schema cannot say. */
function consistencyProblem(file: ResultFile): string | undefined {
  for (const [i, measurement] of file.measurements.entries()) {
    const { samples, rounds, cpuSamples } = measurement;
    const path = `measurements[${i}]`;
    if (rounds !== undefined) {
      const sum = rounds.reduce((total, count) => total + count, 0);
      if (sum !== samples.length) {
        return `${path}.rounds add up to ${sum}, wanted the number of samples, ${samples.length}`;
      }
    }
    if (cpuSamples !== undefined && cpuSamples.length !== samples.length) {
      return `${path}.cpuSamples has ${cpuSamples.length} items, wanted one for each sample, ${samples.length}`;
    }
  }
  return undefined;
}

function problemOf(value: unknown): string | undefined {
  const version = versionProblem(value);
  if (version !== undefined) return version;
  const content = contentProblem(value);
  if (content !== undefined) return content;
  const { valid, errors } = validator.validate(value);
  if (!valid) return describeSchemaError(errors, value, schema);
  return consistencyProblem(value as ResultFile);
}

function complaint(name: string, problem: string): ResultFileError {
  return new ResultFileError(escapeTerminal(`${truncate(name, 300)}: ${problem}`));
}

/**
 * Reads a result file's text, trusting nothing in it.
 *
 * Fields that the schema does not name are kept. Strings are kept as they are: whoever shows them
 * escapes them (`src/escape.ts`).
 *
 * @param text the file's content
 * @param name the file's name, for messages
 * @returns the content
 * @throws {ResultFileError} if the text is too long, not JSON, nested too deeply, of another or a
 * newer version, or at odds with the schema; the message names the first wrong field by its path
 *
 * @example
 * ```ts
 * import { parseResultFile } from "./parse.ts";
 *
 * try {
 *   parseResultFile('{ "schema": "gradsink-results/2" }', "future.json");
 * } catch (error) {
 *   console.log((error as Error).message); // future.json: was written by a newer gradsink …
 * }
 * ```
 */
export function parseResultFile(text: string, name: string): ResultFile {
  const value = parseUntrustedJson(text, name);
  const problem = problemOf(value);
  if (problem !== undefined) throw complaint(name, problem);
  return value as ResultFile;
}

/**
 * Reads JSON of strangers as far as that goes without knowing its form.
 *
 * @param text the file's content
 * @param name the file's name, for messages
 * @returns any value; objects may still hold names that {@linkcode contentProblem} finds
 * @throws {ResultFileError} if the text is too long, empty, nested too deeply, or not JSON
 */
export function parseUntrustedJson(text: string, name: string): unknown {
  if (text.length > MAXIMUM_RESULT_BYTES) {
    throw complaint(name, `is larger than ${MAXIMUM_RESULT_BYTES / 2 ** 20} MiB`);
  }
  const content = text.startsWith("\ufeff") ? text.slice(1) : text;
  if (content.trim() === "") throw complaint(name, "is empty");
  if (nestingDepth(content) > MAXIMUM_DEPTH) {
    throw complaint(name, `nests deeper than ${MAXIMUM_DEPTH} levels`);
  }
  try {
    return JSON.parse(content);
  } catch (error) {
    throw complaint(
      name,
      `is not JSON, or is cut off (${truncate((error as Error).message, 120)})`,
    );
  }
}

/**
 * Turns a result file into text, under the same checks that reading it would make.
 *
 * @param file the content
 * @param name the file's name, for messages
 * @returns JSON, each measurement's samples on one line
 * @throws {ResultFileError} if a field is wrong, or the text would be too long to be read again
 */
export function formatResultFile(file: ResultFile, name: string): string {
  const problem = problemOf(file);
  if (problem !== undefined) throw complaint(name, problem);
  // Indented for people and for diffs, but a list of numbers stays on its line.
  const text = JSON.stringify(file, null, 2).replace(
    /\[\n\s+(?:-?[\d.e+-]+,?\s+)+\]/g,
    (list) => list.replace(/\s+/g, " ").replace("[ ", "[").replace(" ]", "]"),
  ) + "\n";
  if (new TextEncoder().encode(text).length > MAXIMUM_RESULT_BYTES) {
    throw complaint(name, `would be larger than ${MAXIMUM_RESULT_BYTES / 2 ** 20} MiB`);
  }
  return text;
}
