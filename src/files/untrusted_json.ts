/** Reads JSON from strangers: checks size, depth and names before anything else sees it. */
import { truncate } from "../escape.ts";
import { fileError, MAXIMUM_FILE_BYTES } from "./file_error.ts";
import { pathName } from "./schema_problem.ts";

// JSON.parse and the validator recurse, so very deep nesting could overflow the stack. This
// project's files nest less than half as deeply as this limit; newer versions may need the rest.
const MAXIMUM_DEPTH = 32;

// Names that reach an object's prototype through `target[name] = …`.
const forbiddenNames = new Set(["__proto__", "constructor", "prototype"]);

/**
 * Parses JSON from strangers without knowing its form.
 *
 * @param text the file's content
 * @param name the file's name, for messages
 * @returns any value; {@linkcode contentProblem} finds forbidden names and infinite numbers in it
 * @throws {FileError} if the text is too long, empty, nested too deeply, or not JSON
 */
export function parseUntrustedJson(text: string, name: string): unknown {
  if (text.length > MAXIMUM_FILE_BYTES) {
    throw fileError(name, `is larger than ${MAXIMUM_FILE_BYTES / 2 ** 20} MiB`);
  }
  const content = text.startsWith("\ufeff") ? text.slice(1) : text;
  if (content.trim() === "") throw fileError(name, "is empty");
  if (nestingDepth(content) > MAXIMUM_DEPTH) {
    throw fileError(name, `nests deeper than ${MAXIMUM_DEPTH} levels`);
  }
  try {
    return JSON.parse(content);
  } catch (error) {
    throw fileError(
      name,
      `is not JSON, or is cut off (${truncate((error as Error).message, 120)})`,
    );
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The deepest nesting of brackets and braces in JSON text, found without parsing it. */
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
 * Finds a forbidden field name, a number that is not finite, or too deep nesting.
 *
 * @param value parsed JSON from a stranger
 * @returns the problem with its place; undefined if there is none
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
