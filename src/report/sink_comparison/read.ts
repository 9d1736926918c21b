/** Reads files of `deno task sinks --output`, possibly from strangers. */
import { basename } from "node:path";
import { fileError } from "../../files/file_error.ts";
import { readText } from "../../files/read.ts";
import { contentProblem, parseUntrustedJson } from "../../files/untrusted_json.ts";
import { SINK_MEASUREMENT_SCHEMA, type SinkMeasurement } from "../../sinks/measurement.ts";

/** A measurement with a name for comparisons. */
export interface NamedMeasurement {
  readonly name: string;
  readonly measurement: SinkMeasurement;
}

/** The fields that every comparison needs. */
const NEEDED: Readonly<Record<string, "object" | "list" | "number">> = {
  config: "object",
  "config.layers": "number",
  "config.queryHeads": "number",
  settings: "object",
  "settings.position": "number",
  "settings.threshold": "number",
  data: "object",
  "data.sequences": "number",
  "data.context": "number",
  positions: "list",
  layers: "list",
  summary: "object",
};

/**
 * Reads measurements from files, and gives them distinct names.
 *
 * @throws {FileError} if a file cannot be read, or is not a measurement
 */
export async function readMeasurements(paths: readonly string[]): Promise<NamedMeasurement[]> {
  const measurements: SinkMeasurement[] = [];
  for (const path of paths) measurements.push(await readMeasurement(path));
  const names = measurements.map(({ source, pretrained }, i) => {
    if (source === null) return basename(paths[i]!);
    return pretrained === undefined ? `${source.run}, step ${source.step}` : source.run;
  });
  // To measurements of equal names, add their file's name. If names are still equal, add a number.
  const files = apart(names, (name, i) => `${name} (${basename(paths[i]!)})`);
  const distinct = apart(files, (name, i) => `${name} ${i + 1}`);
  return measurements.map((measurement, i) => ({ name: distinct[i]!, measurement }));
}

function apart(
  names: readonly string[],
  change: (name: string, index: number) => string,
): string[] {
  return names.map((name, i) =>
    names.indexOf(name) === names.lastIndexOf(name) ? name : change(name, i)
  );
}

async function readMeasurement(path: string): Promise<SinkMeasurement> {
  const value = parseUntrustedJson(await readText(path), path);
  const schema = fieldOf(value, "schema");
  if (schema !== SINK_MEASUREMENT_SCHEMA) {
    throw fileError(
      path,
      schema === undefined
        ? "has no schema: deno task sinks --output did not write it"
        : `its schema is ${JSON.stringify(schema)}, wanted "${SINK_MEASUREMENT_SCHEMA}"`,
    );
  }
  const problem = contentProblem(value);
  if (problem !== undefined) throw fileError(path, problem);
  for (const [name, kind] of Object.entries(NEEDED)) {
    const field = fieldOf(value, name);
    const is = Array.isArray(field) ? "list" : field === null ? "null" : typeof field;
    if (is !== kind) {
      throw fileError(path, `${name} is ${field === undefined ? "missing" : is}, wanted a ${kind}`);
    }
  }
  return value as SinkMeasurement;
}

function fieldOf(value: unknown, name: string): unknown {
  return name.split(".").reduce<unknown>(
    (part, key) =>
      typeof part === "object" && part !== null
        ? (part as Readonly<Record<string, unknown>>)[key]
        : undefined,
    value,
  );
}
