/** A custom operator's pass, in the form that tuning uses. Every shape gets its own choice. */
import type { Dimensions, TunableOperator } from "../../ops/tuning/operators.ts";
import { lengthsText, type PassName } from "../workloads/operator.ts";
import { operatorOf } from "./measured_pass.ts";
import type { OperatorOutline } from "./outline.ts";

/** Describes a pass for tuning. */
export function tunablePass(
  { name, digest, passes, shapes }: OperatorOutline,
  pass: PassName,
): TunableOperator {
  const operator = operatorOf({ name, pass });
  const variants = passes[pass]!;
  const names = Object.keys(shapes.hardware[0]!.dimensions);
  const shapeClass = (dimensions: Dimensions): string =>
    lengthsText(Object.fromEntries(names.map((each) => [each, dimensions[each]!])));
  return {
    operator,
    digest,
    dimensionNames: names,
    variants,
    namedOnly: [],
    shapeClass,
    kernelCalls: (dimensions) => [dimensions],
    // Only planning shows whether a variant can run: a RangeError means that it cannot.
    unfit: () => undefined,
    choose(gpu, dimensions) {
      const tuned = gpu.variants.get(`${operator} ${shapeClass(dimensions)}`);
      return tuned !== undefined && variants.includes(tuned) ? tuned : variants[0]!;
    },
    plan() {
      throw new Error(`${operator}: tuning makes no plans of custom operators`);
    },
  };
}
