/** The part of an operator's file that other processes get: data without functions. */
import { type GridShape, lengthsText, type PassName } from "../workloads/operator.ts";
import { type CustomOperator, variantsOfPass } from "./description.ts";
import { costOf, drawInputs, runTwin } from "./calls.ts";
import { passOf, shapesOn } from "./exports.ts";

/** An operator's outline. */
export interface OperatorOutline {
  /** The operator's name. */
  readonly name: string;
  /** Identifies the version of the file. */
  readonly digest: string;
  /** The names of each pass's variants, the default first. */
  readonly passes: Readonly<Partial<Record<PassName, readonly string[]>>>;
  /** The shapes to measure. */
  readonly shapes: {
    /** The shapes on GPUs. */
    readonly hardware: readonly GridShape[];
    /** The shapes on adapters that compute on the CPU. */
    readonly software: readonly GridShape[];
  };
}

/**
 * Outlines an operator. To show errors before anything is measured, it also calls `cost` for every
 * shape, and `inputs` and `twin` for the first shape of adapters that compute on the CPU.
 *
 * @param digest identifies the version of its file
 * @throws {TypeError} if a cost, an input or an output has a wrong form
 * @throws {RangeError} if `cost`, `inputs` or `twin` throws
 */
export function outlineOf(operator: CustomOperator, digest: string): OperatorOutline {
  const names: readonly PassName[] = operator.backward === undefined
    ? ["forward"]
    : ["forward", "backward"];
  const gridShapes = (software: boolean): GridShape[] =>
    shapesOn(operator, software).map((dimensions, i) => ({
      name: lengthsText(dimensions),
      grid: i === 0 ? "quick" : "default",
      dimensions,
    }));
  const shapes = { hardware: gridShapes(false), software: gridShapes(true) };
  for (const name of names) {
    const pass = passOf(operator, name);
    for (const { dimensions } of [...shapes.software, ...shapes.hardware]) {
      costOf(pass, { pass: name, dimensions });
    }
    const first = { pass: name, dimensions: shapes.software[0]!.dimensions };
    runTwin(pass, drawInputs(pass, { ...first, seed: 1 }), first);
  }
  return {
    name: operator.name,
    digest,
    passes: Object.fromEntries(
      names.map((name) => [name, Object.keys(variantsOfPass(passOf(operator, name)))]),
    ),
    shapes,
  };
}
