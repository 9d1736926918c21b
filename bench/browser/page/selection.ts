/**
 * The selection of what to measure, in the form and in the page's address. A link with a selection
 * repeats a run.
 */
import type { CacheState } from "../../../src/measure/result_file.ts";
import type { JobSelection } from "../../../src/measure/jobs.ts";
import type { PassName } from "../../../src/measure/workloads/operator.ts";
import { operatorNames } from "../../../src/measure/workloads/operators.ts";
import { gridNames, shapeNamesOf } from "../../../src/measure/workloads/shapes.ts";
import { byId, element } from "./dom.ts";

/** A run's selection. */
export interface PageSelection extends JobSelection {
  readonly variants: "chosen" | "all";
  /** The time for the run, in seconds. */
  readonly budget: number;
  readonly seed: number;
  readonly label: string;
}

const passes: readonly PassName[] = ["forward", "backward"];
const caches: readonly CacheState[] = ["hot", "cold"];
/** All shapes by name. */
export const shapeNames: readonly string[] = [...new Set(operatorNames.flatMap(shapeNamesOf))];

/** The default selection, for an address without parameters. */
export const usualSelection: PageSelection = {
  kernels: operatorNames,
  passes,
  shapes: "quick",
  dtypes: ["f32"],
  caches: ["hot"],
  variants: "chosen",
  budget: 60,
  seed: 1,
  label: "",
};

const LONGEST_BUDGET = 86_400;
const LONGEST_LABEL = 100;

/** The selection read from an address, and what is wrong with the address: one line per fault. */
export interface ReadSelection {
  readonly selection: PageSelection;
  readonly problems: readonly string[];
}

/**
 * Reads a selection from an address. Wrong values are reported, and defaults replace them. If
 * `shapes` has both a grid (a set of shapes, such as `quick`) and single shapes, this is reported,
 * and the grid alone counts.
 *
 * @param parameters the address's parameters, from an untrusted source
 */
export function readSelection(parameters: URLSearchParams): ReadSelection {
  const problems: string[] = [];
  const complain = (name: string, given: string, wanted: string): void => {
    problems.push(`${name} is ${JSON.stringify(given.slice(0, 60))}, wanted ${wanted}`);
  };
  function list<Name extends string>(
    name: string,
    known: readonly Name[],
  ): readonly Name[] | undefined {
    const given = parameters.get(name);
    if (given === null) return undefined;
    const words = given.split(",").slice(0, 200);
    const wrong = words.find((word) => !known.includes(word as Name));
    if (wrong === undefined) return known.filter((each) => words.includes(each));
    complain(name, wrong, `some of ${known.join(", ")}`);
    return undefined;
  }
  function number(name: string, least: number, most: number): number | undefined {
    const given = parameters.get(name);
    if (given === null) return undefined;
    const value = /^\d{1,9}$/.test(given) ? Number(given) : NaN;
    if (value >= least && value <= most) return value;
    complain(name, given, `a whole number from ${least} to ${most}`);
    return undefined;
  }
  const usual = usualSelection;
  const shapes = list("shapes", [...gridNames, ...shapeNames]);
  const grid = gridNames.find((each) => shapes?.includes(each));
  if (grid !== undefined && shapes!.length > 1) {
    complain("shapes", shapes!.join(","), "either a grid or names");
  }
  const variants = parameters.get("variants") ?? usual.variants;
  if (variants !== "chosen" && variants !== "all") complain("variants", variants, "chosen or all");
  const selection: PageSelection = {
    kernels: list("kernels", operatorNames) ?? usual.kernels,
    passes: list("passes", passes) ?? usual.passes,
    shapes: grid ?? shapes ?? usual.shapes,
    dtypes: usual.dtypes,
    caches: list("cache", caches) ?? usual.caches,
    variants: variants === "all" ? "all" : "chosen",
    budget: number("budget", 1, LONGEST_BUDGET) ?? usual.budget,
    seed: number("seed", 0, 999_999_999) ?? usual.seed,
    label: cleanLabel(parameters.get("label") ?? ""),
  };
  return { selection, problems };
}

// Makes the text a label that result files allow: replaces control characters by spaces, and
// shortens the text.
function cleanLabel(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, " ").slice(0, LONGEST_LABEL).trim();
}

/** Writes a selection as parameters of an address. Leaves out what equals the default. */
export function writeSelection(selection: PageSelection): URLSearchParams {
  const parameters = new URLSearchParams();
  const usual = usualSelection;
  const add = (name: string, value: unknown, usually: unknown): void => {
    if (String(value) !== String(usually)) parameters.set(name, String(value));
  };
  add("kernels", selection.kernels, usual.kernels);
  add("passes", selection.passes, usual.passes);
  add("shapes", selection.shapes, usual.shapes);
  add("cache", selection.caches, usual.caches);
  add("variants", selection.variants, usual.variants);
  add("budget", selection.budget, usual.budget);
  add("seed", selection.seed, usual.seed);
  add("label", selection.label, usual.label);
  return parameters;
}

/** Makes the form's boxes for the operators and shapes that can be measured. */
export function buildForm(): void {
  const box = (name: string, value: string): HTMLLabelElement => {
    const label = element("label", "", { class: "check" });
    label.append(element("input", "", { type: "checkbox", name, value }), ` ${value}`);
    return label;
  };
  byId("kernel-boxes", HTMLDivElement).append(...operatorNames.map((each) => box("kernels", each)));
  byId("shape-boxes", HTMLDivElement).append(...shapeNames.map((each) => box("named", each)));
}

/** Shows a selection in the form. */
export function showSelection(form: HTMLFormElement, selection: PageSelection): void {
  const { shapes } = selection;
  const chosen: Readonly<Record<string, readonly string[]>> = {
    kernels: selection.kernels,
    passes: selection.passes,
    cache: selection.caches,
    named: typeof shapes === "string" ? [] : shapes,
    grid: [typeof shapes === "string" ? shapes : "named"],
    variants: [selection.variants],
  };
  for (const field of form.querySelectorAll("input, select")) {
    if (field instanceof HTMLSelectElement) field.value = chosen[field.name]?.[0] ?? field.value;
    else if (field instanceof HTMLInputElement && chosen[field.name] !== undefined) {
      field.checked = chosen[field.name]!.includes(field.value);
    }
  }
  byId("budget", HTMLInputElement).value = String(selection.budget);
  byId("seed", HTMLInputElement).value = String(selection.seed);
  byId("label", HTMLInputElement).value = selection.label;
  byId("named-shapes", HTMLDetailsElement).hidden = typeof shapes === "string";
  if (typeof shapes !== "string") byId("named-shapes", HTMLDetailsElement).open = true;
}

/**
 * Reads the form.
 *
 * @returns the selection, or a sentence about what is missing or wrong
 */
export function formSelection(form: HTMLFormElement): PageSelection | string {
  const data = new FormData(form);
  const all = (name: string): string[] => data.getAll(name).map(String);
  const grid = String(data.get("grid"));
  const parameters = new URLSearchParams({
    kernels: all("kernels").join(","),
    passes: all("passes").join(","),
    cache: all("cache").join(","),
    shapes: grid === "named" ? all("named").join(",") : grid,
    variants: String(data.get("variants")),
    budget: String(data.get("budget")),
    seed: String(data.get("seed")),
    label: String(data.get("label")),
  });
  for (
    const [name, what] of [["kernels", "kernel"], ["passes", "pass"], ["cache", "cache state"], [
      "shapes",
      "shape",
    ]] as const
  ) {
    if (parameters.get(name) === "") return `Choose at least one ${what}`;
  }
  const { selection, problems } = readSelection(parameters);
  return problems[0] === undefined ? selection : `The ${problems[0]}`;
}
