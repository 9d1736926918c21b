/** The machines of a comparison, one per result file, with names that tell them apart. */
import { truncate } from "../../escape.ts";
import {
  type BoundingCeiling,
  exceededCeilings,
  type ExceedingMeasurement,
} from "../ceilings/roofline.ts";
import type { Ceilings, ResultFile } from "../result_file.ts";

/** A result file with its name. */
export interface NamedResult {
  /** The file's name, as the user gave it. */
  readonly name: string;
  readonly file: ResultFile;
}

/**
 * One column of a comparison. Strings come unescaped from the file: escape them before showing
 * them.
 */
export interface Machine {
  /** A name that is unique in the comparison. */
  readonly name: string;
  readonly fileName: string;
  readonly adapter: string;
  readonly runtime: string;
  readonly host: string;
  readonly software: boolean;
  readonly suite: string;
  readonly date: string;
  readonly complete: boolean;
  readonly ceilings: Ceilings;
  /** The ceilings that measurements of the same run exceed. */
  readonly exceeded: ReadonlyMap<BoundingCeiling, ExceedingMeasurement>;
}

const LONGEST_NAME = 48;

/** An adapter's name: its description; else its vendor, architecture and device. */
export function adapterName(file: ResultFile): string {
  const { vendor, architecture = "", device = "", description = "" } = file.adapter;
  const name = description.trim() ||
    [vendor, architecture, device].map((part) => part.trim()).filter(Boolean).join(" ");
  return name || "unknown adapter";
}

/** Tells equal names apart: appends to each its addition, unless their additions are all equal. */
function tellApart(names: readonly string[], additions: readonly string[]): string[] {
  return names.map((name, i) => {
    const namesakes = names.flatMap((other, j) => other === name ? [additions[j]] : []);
    return namesakes.length > 1 && new Set(namesakes).size > 1 ? `${name} (${additions[i]})` : name;
  });
}

function names(results: readonly NamedResult[]): string[] {
  let found = results.map(({ file }) =>
    truncate(file.label?.trim() || adapterName(file), LONGEST_NAME)
  );
  found = tellApart(found, results.map(({ file }) => truncate(file.runtime.name, 20)));
  found = tellApart(
    found,
    results.map(({ name }) => truncate(name.split(/[/\\]/).at(-1) ?? name, LONGEST_NAME)),
  );
  const taken = new Set<string>();
  return found.map((name) => {
    let free = name;
    for (let number = 2; taken.has(free); number++) free = `${name} #${number}`;
    taken.add(free);
    return free;
  });
}

export function machinesOf(results: readonly NamedResult[]): Machine[] {
  const called = names(results);
  return results.map(({ name, file }, i) => ({
    name: called[i]!,
    fileName: name,
    adapter: adapterName(file),
    runtime: [file.runtime.name, file.runtime.webgpuVersion ?? file.runtime.version]
      .filter(Boolean).join(" "),
    host: [file.host.cpu, file.host.os, file.host.arch].filter(Boolean).join(", "),
    software: file.adapter.software ?? false,
    suite: file.suite.commit === null
      ? file.suite.version
      : `${file.suite.version} (${file.suite.commit.replace(/^([0-9a-f]{10})[0-9a-f]+/, "$1")})`,
    date: file.date,
    complete: file.status !== "incomplete",
    ceilings: file.ceilings,
    exceeded: exceededCeilings(file),
  }));
}

/**
 * Properties that must be equal if two files come from one machine: each with a name for messages
 * and a function that reads its value.
 */
const IDENTITY: readonly (readonly [name: string, of: (file: ResultFile) => string | undefined])[] =
  [
    ["GPU vendor", ({ adapter }) => adapter.vendor],
    ["GPU architecture", ({ adapter }) => adapter.architecture],
    ["GPU device", ({ adapter }) => adapter.device],
    ["GPU", ({ adapter }) => adapter.description],
    ["processor", ({ host }) => host.cpu],
    ["operating system", ({ host }) => host.os],
    ["runtime", ({ runtime }) => runtime.name],
  ];

/** Properties that are compared only if both files have them. */
const KNOWN_TO_BOTH: typeof IDENTITY = [
  ["host", ({ host }) => host.id],
  ["label", ({ label }) => label],
];

/**
 * Lists the differences between two files' machines.
 *
 * @returns a line for each difference, such as `processor: "A", not "B"`; empty for one machine
 */
export function machineDifferences(a: ResultFile, b: ResultFile): string[] {
  const line = (name: string, [first, second]: readonly (string | undefined)[]) =>
    `${name}: ${JSON.stringify(first ?? "")}, not ${JSON.stringify(second ?? "")}`;
  return [
    ...IDENTITY.map(([name, of]) => [name, [of(a) ?? "", of(b) ?? ""]] as const),
    ...KNOWN_TO_BOTH.map(([name, of]) => [name, [of(a), of(b)]] as const)
      .filter(([, values]) => values.every((value) => value !== undefined)),
  ].filter(([, [first, second]]) => first !== second).map(([name, values]) => line(name, values));
}

/** Whether two files come from one machine, as far as they tell. */
export function isSameMachine(a: ResultFile, b: ResultFile): boolean {
  return machineDifferences(a, b).length === 0;
}
