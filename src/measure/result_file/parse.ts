/**
 * Converts result files from and to text. They may come from strangers, so size, depth and every
 * field are checked before any other use.
 */
import { Validator } from "@cfworker/json-schema";
import { truncate } from "../../escape.ts";
import { fileError, MAXIMUM_FILE_BYTES } from "../../files/file_error.ts";
import { describeSchemaError } from "../../files/schema_problem.ts";
import { contentProblem, parseUntrustedJson } from "../../files/untrusted_json.ts";
import type { Measurement, ResultFile } from "../result_file.ts";
import schema from "./schema.json" with { type: "json" };

const validator = new Validator(schema as never, "2020-12", true);

/** What is wrong with the version field; undefined if this code can read the version. */
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

/** Identifies what was measured: the operator, call, cache state, variant and tuning, as text. */
function identity(measurement: Measurement): string {
  const { kernel, operatorDigest, pass, shape, dtype, cache = "hot" } = measurement;
  const sorted = (fields: object) => Object.entries(fields).sort(([a], [b]) => a < b ? -1 : 1);
  const { variant, tuning } = measurement;
  return JSON.stringify(
    [kernel, operatorDigest, pass, sorted(shape), dtype, cache, variant, sorted(tuning)],
  );
}

/** Checks what a schema cannot express. */
function consistencyProblem(file: ResultFile): string | undefined {
  const places = new Map<string, string>();
  for (const [i, measurement] of file.measurements.entries()) {
    const { samples, rounds, sweeps, processes, cpuSamples, throttleSamples = [] } = measurement;
    const path = `measurements[${i}]`;
    const sums = [
      ["rounds", rounds, samples, "samples"],
      ["processes[].samples", processes?.map((each) => each.samples), samples, "samples"],
      [
        "processes[].throttleSamples",
        processes?.map((each) => each.throttleSamples),
        throttleSamples,
        "throttleSamples",
      ],
    ] as const;
    for (const [name, counts, list, unit] of sums) {
      const sum = counts?.reduce((total, count) => total + count, 0);
      if (sum !== undefined && sum !== list.length) {
        return `${path}.${name} add up to ${sum}, wanted the number of ${unit}, ${list.length}`;
      }
    }
    for (const [j, { round }] of processes?.entries() ?? []) {
      if (j > 0 && round <= processes![j - 1]!.round) {
        return `${path}.processes[${j}].round is ${round}, wanted more than the one before`;
      }
    }
    if (sweeps !== undefined && sweeps.length !== (rounds?.length ?? 0)) {
      return `${path}.sweeps has ${sweeps.length} items, wanted one for each of rounds, ${
        rounds?.length ?? 0
      }`;
    }
    if (cpuSamples !== undefined && cpuSamples.length !== samples.length) {
      return `${path}.cpuSamples has ${cpuSamples.length} items, wanted one for each sample, ${samples.length}`;
    }
    const same = identity(measurement);
    const place = places.get(same);
    if (place !== undefined) {
      return `${path} is of the same call and variant as ${place}: wanted each once`;
    }
    places.set(same, path);
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

/**
 * Reads a result file's text, which may come from a stranger.
 *
 * It keeps unknown fields. It does not change strings: code that shows them must escape them
 * (`src/escape.ts`).
 *
 * @param text the file's content
 * @param name the file's name, for messages
 * @returns the content
 * @throws {FileError} if the text is too long, not JSON, nested too deeply, not a result file, from
 *   a newer gradsink, does not match the schema or contradicts itself; the message names the first
 *   wrong field by its path
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
  if (problem !== undefined) throw fileError(name, problem);
  return value as ResultFile;
}

/**
 * Turns a result file into text, with the same checks as reading it.
 *
 * @param file the content
 * @param name the file's name, for messages
 * @returns JSON, each measurement's samples on one line
 * @throws {FileError} if a field is wrong, or the text would be too long to be read again
 */
export function formatResultFile(file: ResultFile, name: string): string {
  const problem = problemOf(file);
  if (problem !== undefined) throw fileError(name, problem);
  // Indent for people and diffs, but keep a list of numbers on one line.
  const text = JSON.stringify(file, null, 2).replace(
    /\[\n\s+(?:-?[\d.e+-]+,?\s+)+\]/g,
    (list) => list.replace(/\s+/g, " ").replace("[ ", "[").replace(" ]", "]"),
  ) + "\n";
  if (new TextEncoder().encode(text).length > MAXIMUM_FILE_BYTES) {
    throw fileError(name, `would be larger than ${MAXIMUM_FILE_BYTES / 2 ** 20} MiB`);
  }
  return text;
}
