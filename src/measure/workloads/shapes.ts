/** The shapes to measure, by operator and grid. */
import { type GridName, type GridShape, lengthsText, type Shape } from "./operator.ts";
import { type OperatorName, operatorNamed } from "./operators.ts";

/** All grids, the smallest first. Each includes the ones before it. */
export const gridNames: readonly GridName[] = ["quick", "default", "full"];

/** Options of {@linkcode shapesOf}. */
export interface ShapesOptions {
  /** The grid. Default: `default`. */
  readonly grid?: GridName;
  /** Whether the adapter computes on the CPU (`gpu.info.software`). */
  readonly software: boolean;
}

/**
 * Lists the shapes for measuring an operator, the quick ones first. If models' layers have the same
 * lengths for this operator, only the first model's shape is listed.
 *
 * @param kernel the operator's name
 * @param options the grid, and whether the adapter computes on the CPU
 * @returns at least one shape; no two have the same name or the same dimensions
 * @throws {RangeError} if there is no such operator or grid
 *
 * @example
 * ```ts
 * import { shapesOf } from "./shapes.ts";
 *
 * for (const { name, dimensions } of shapesOf("attention", { software: false })) {
 *   console.log(name, dimensions.Hq, dimensions.T);
 * }
 * ```
 */
export function shapesOf(kernel: OperatorName, options: ShapesOptions): readonly Shape[] {
  const { grid = "default", software } = options;
  checkName(grid, { name: "grid", known: gridNames });
  const seen = new Set<string>();
  return operatorNamed(kernel).shapes(software)
    .filter((entry) => gridNames.indexOf(entry.grid) <= gridNames.indexOf(grid))
    .map(withoutGrid)
    .filter(({ dimensions }) => {
      const key = JSON.stringify(dimensions);
      return !seen.has(key) && seen.add(key);
    });
}

/**
 * Lists the names of an operator's shapes from all grids, for hardware and software.
 *
 * @throws {RangeError} if there is no such operator
 */
export function shapeNamesOf(kernel: OperatorName): string[] {
  const all = [false, true].flatMap((software) => shapesOf(kernel, { grid: "full", software }));
  return [...new Set(all.map(({ name }) => name))];
}

/**
 * Finds a shape by name in any grid. Shapes for hardware and for software can be used on both.
 *
 * @throws {RangeError} if the operator has no such shape
 */
export function shapeNamed(kernel: OperatorName, name: string): Shape {
  const { shapes } = operatorNamed(kernel);
  const all = [...shapes(false), ...shapes(true)];
  const found = all.find((shape) => shape.name === name);
  if (found !== undefined) return withoutGrid(found);
  checkName(name, { name: "shape", known: all.map((shape) => shape.name) });
  throw new RangeError(name);
}

/**
 * Reads a shape from a text with the operator's lengths, such as `B1 H8 T1024 D64` or
 * `rows=512 d=2048`. `H` sets both Hq and Hkv. Defaults: B is 1, and a matrix is not transposed.
 *
 * @param kernel the operator's name
 * @param text lengths by name, separated by commas or spaces
 * @returns undefined if these are not the lengths of this operator
 */
export function shapeOfLengths(kernel: OperatorName, text: string): Shape | undefined {
  const given = new Map<string, number>();
  for (const part of text.split(/[\s,]+/)) {
    const [, name, length] = /^([A-Za-z]+?)=?(\d{1,9})$/.exec(part) ?? [];
    if (name === undefined || given.has(name)) return undefined;
    given.set(name, Number(length));
  }
  const known = operatorNamed(kernel).shapes(false).map(({ dimensions }) =>
    Object.keys(dimensions)
  );
  const names = [...new Set(known.flat())];
  const required = names.filter((name) => known.every((each) => each.includes(name)));
  const heads = given.get("H");
  const dimensions: Record<string, number> = {};
  for (const name of names) {
    const alike = name === "Hq" || name === "Hkv" ? heads : name === "B" ? 1 : undefined;
    const length = given.get(name) ?? alike;
    if (length !== undefined) dimensions[name] = length;
  }
  const fits = required.every((name) => dimensions[name]! >= 1) &&
    [...given.keys()].every((name) =>
      names.includes(name) || (name === "H" && names.includes("Hkv"))
    );
  if (!fits) return undefined;
  return { name: lengthsText(dimensions), dimensions };
}

function withoutGrid({ name, dimensions }: GridShape): Shape {
  return { name, dimensions };
}

function checkName(
  given: string,
  { name, known }: { readonly name: string; readonly known: readonly string[] },
): void {
  if (known.includes(given)) return;
  const wanted = [...new Set(known)].join(", ");
  throw new RangeError(`shapes: ${name} is ${JSON.stringify(given)}, wanted one of ${wanted}`);
}
