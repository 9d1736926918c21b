/** Reads and writes records of runs. Files may come from strangers, so every field is checked. */
import { join } from "node:path";
import { Validator } from "@cfworker/json-schema";
import { FileError, fileError, MAXIMUM_FILE_BYTES } from "../../files/file_error.ts";
import { readText } from "../../files/read.ts";
import { contentProblem, parseUntrustedJson } from "../../files/untrusted_json.ts";
import { describeSchemaError } from "../../files/schema_problem.ts";
import { writeTextFile } from "../../files/write.ts";
import { fromColumns, toColumns } from "./columns.ts";
import { isPlanFile, parsePlan } from "./plan.ts";
import { RECORD_FILE, STUDY_RECORD_SCHEMA, type StudyRecord } from "./record.ts";
import schema from "./schema.json" with { type: "json" };

const validator = new Validator(schema as never, "2020-12", true);

function versionProblem(value: unknown): string | undefined {
  const version = typeof value === "object" && value !== null && Object.hasOwn(value, "schema")
    ? (value as { schema: unknown }).schema
    : undefined;
  const major = typeof version === "string"
    ? /^gradsink-study-run\/(\d{1,9})(?:\.\d+)?$/.exec(version)?.[1]
    : undefined;
  if (major === undefined) return `is no run of a study: its schema is not ${STUDY_RECORD_SCHEMA}`;
  return Number(major) > 1
    ? `was written by a newer gradsink: this one reads ${STUDY_RECORD_SCHEMA}, update it`
    : undefined;
}

/** Checks what a schema cannot express. */
function consistencyProblem(record: StudyRecord): string | undefined {
  const { training, trajectory, positions, steps, status } = record;
  if (training.steps.length !== training.losses.length) {
    return `training has ${training.steps.length} steps and ${training.losses.length} losses`;
  }
  for (const [i, point] of trajectory.entries()) {
    const path = `trajectory[${i}]`;
    if (i > 0 && point.step <= trajectory[i - 1]!.step) {
      return `${path}.step is ${point.step}, wanted more than the one before`;
    }
    if (point.layers.length !== trajectory[0]!.layers.length) {
      return `${path}.layers has another length than the first point's`;
    }
    for (const name of ["query", "key", "value"] as const) {
      if (point.paths !== null && point.paths[name].length !== positions.length) {
        return `${path}.paths.${name} has ${
          point.paths[name].length
        } items, wanted one for each position, ${positions.length}`;
      }
    }
  }
  if (status === "complete" && (trajectory.length === 0 || trajectory.at(-1)!.step !== steps)) {
    return `is complete, but its trajectory does not end at step ${steps}`;
  }
  return finalProblem(record);
}

function finalProblem({ final }: StudyRecord): string | undefined {
  for (const [i, { attention, mlp }] of (final?.layers ?? []).entries()) {
    const count = final!.positions.length;
    const lists = [
      ...attention === null ? [] : Object.values(attention.gradients),
      ...[attention?.branch, mlp.branch].flatMap((branch) =>
        branch === undefined ? [] : Object.values(branch.byPosition)
      ),
    ];
    // Lists that no picture uses may be empty.
    if (lists.some(({ length }) => length !== count && length !== 0)) {
      return `final.layers[${i}] has a list that is not of ${count} positions`;
    }
    for (const branch of [attention?.branch, mlp.branch]) {
      const lengths = new Set(Object.values(branch?.points ?? {}).map(({ length }) => length));
      if (lengths.size > 1) return `final.layers[${i}] has points of different counts`;
    }
  }
  return undefined;
}

function problemOf(value: unknown): string | undefined {
  const problem = versionProblem(value) ?? contentProblem(value);
  if (problem !== undefined) return problem;
  const { valid, errors } = validator.validate(value);
  if (!valid) return describeSchemaError(errors, value, schema);
  return consistencyProblem(value as StudyRecord);
}

/** The most points of a trajectory. */
const MOST_POINTS = 10_000;

/** Turns columns in a file into rows. */
function withRows(value: unknown): unknown {
  const { trajectory, ...rest } = value as Record<string, unknown>;
  const { count, columns } = (trajectory ?? {}) as Record<string, unknown>;
  const known = Number.isSafeInteger(count) && Number(count) >= 0 && Number(count) <= MOST_POINTS;
  return { ...rest, trajectory: known ? fromColumns(columns, Number(count)) : trajectory };
}

/**
 * Reads a record's text, which may come from a stranger.
 *
 * @param name the file's name, for messages
 * @throws {FileError} if it is not a record, or contradicts itself
 */
export function parseStudyRecord(text: string, name: string): StudyRecord {
  const value = parseUntrustedJson(text, name);
  const content = versionProblem(value) ?? contentProblem(value);
  const record = content === undefined ? withRows(value) : value;
  const problem = content ?? problemOf(record);
  if (problem !== undefined) throw fileError(name, problem);
  return record as StudyRecord;
}

/** Fields that keep more digits: the losses of two arms often agree in their first digits. */
const losses = new Set(["loss", "oracleLoss", "difference"]);

/** Rounds figures to four digits and losses to six: seeds differ by more than that. */
function rounded(key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value)
    ? Number(value.toPrecision(losses.has(key) ? 6 : 4))
    : value;
}

/**
 * Turns a record into text, with the same checks as reading it.
 *
 * @param name the file's name, for messages
 * @throws {FileError} if a field is wrong, or the text would be too large
 */
export function formatStudyRecord(record: StudyRecord, name: string): string {
  const problem = problemOf(record);
  if (problem !== undefined) throw fileError(name, problem);
  const { trajectory, training, final, ...head } = record;
  const curve = {
    steps: training.steps,
    losses: training.losses.map((each) => rounded("loss", each)),
  };
  const rows: unknown[] = JSON.parse(JSON.stringify(trajectory, rounded));
  const columns = { count: rows.length, columns: toColumns(rows) };
  // A few lines, to be readable.
  const text = `${JSON.stringify(head).slice(0, -1)},
"training":${JSON.stringify(curve)},
"trajectory":${JSON.stringify(columns)},
"final":${JSON.stringify(final, rounded)}}
`;
  if (text.length > MAXIMUM_FILE_BYTES) throw fileError(name, "would be too large");
  return text;
}

export async function writeStudyRecord(path: string, record: StudyRecord): Promise<void> {
  await writeTextFile(path, formatStudyRecord(record, path));
}

export interface FoundRecords {
  readonly records: readonly { readonly path: string; readonly record: StudyRecord }[];
  /** The names of planned arms; empty for a folder that holds only records. */
  readonly planned: readonly string[];
  /** One message for each unreadable file. */
  readonly problems: readonly string[];
}

/** Deeper folders hold no records. */
const DEPTH = 2;

/**
 * Finds all records in a study's folder: `study-record.json` in the runs' folders, or `.json` files
 * in the folder itself, as in fixtures.
 *
 * @throws {FileError} if there is no such folder
 */
export async function readStudyFolder(folder: string): Promise<FoundRecords> {
  const records: { path: string; record: StudyRecord }[] = [];
  const planned: string[] = [];
  const problems: string[] = [];
  const visit = async (path: string, depth: number): Promise<void> => {
    const entries = await Array.fromAsync(Deno.readDir(path));
    // By code units, which gives the same order in every locale.
    entries.sort((a, b) => a.name < b.name ? -1 : 1);
    for (const { name, isDirectory, isFile } of entries) {
      if (name.startsWith(".")) continue;
      const inner = join(path, name);
      if (isDirectory && depth < DEPTH) await visit(inner, depth + 1);
      const isRecord = depth === 0 ? /\.json$/.test(name) : name === RECORD_FILE;
      if (!isFile || !isRecord || (depth === 0 && notRecords.has(name))) continue;
      try {
        if (depth === 0 && isPlanFile(name)) {
          planned.push(...parsePlan(await readText(inner), inner));
        } else records.push({ path: inner, record: await readRecord(inner) });
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        problems.push(error.message);
      }
    }
  };
  try {
    await visit(folder, 0);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw fileError(folder, "no such folder");
    if (error instanceof Deno.errors.NotADirectory) {
      throw fileError(folder, "is a file, wanted a study's folder");
    }
    throw error;
  }
  return { records, planned: [...new Set(planned)], problems };
}

/** Neither records nor plans. */
const notRecords = new Set(["study.json", "claims.json"]);

async function readRecord(path: string): Promise<StudyRecord> {
  return parseStudyRecord(await readText(path), path);
}
