/** A pass of a custom operator, in the form that workloads measure. */
import type { Gpu } from "../../gpu/gpu.ts";
import { Plan } from "../../gpu/plan.ts";
import { Tensor } from "../../gpu/tensor.ts";
import type { Dimensions, MeasuredPass, PassName } from "../workloads/operator.ts";
import type { Prepared, PrepareOptions } from "../workloads/prepare.ts";
import type { Sample } from "../workloads/samples.ts";
import { type Call, costOf, drawInputs, labelOf, runTwin } from "./calls.ts";
import {
  type CustomOperator,
  type CustomPass,
  DEFAULT_TOLERANCE,
  variantsOfPass,
} from "./description.ts";
import { passOf } from "./exports.ts";
import { describe, isRecord } from "./tensors.ts";

/** The arguments of a custom operator's planner. */
interface PlanCall {
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly dimensions: Dimensions;
  /** The variant's name. Default: the first. */
  readonly variant?: string;
}

type Planned = Readonly<Record<string, Tensor>> & { readonly plan: Plan };

/**
 * Makes the pass that workloads measure.
 *
 * @param operator the checked operator; undefined in a process that does not run its file
 */
export function measuredPass(
  operator: CustomOperator | undefined,
  { name, pass }: { readonly name: string; readonly pass: PassName },
): MeasuredPass {
  const custom = (): CustomPass => {
    if (operator !== undefined) return passOf(operator, pass);
    throw new Error(`${name}: this process does not run the operator's file`);
  };
  const plan = (gpu: Gpu, { variant, tensors, dimensions }: PlanCall): Planned => {
    const variants = variantsOfPass(custom());
    const planner = variants[variant ?? Object.keys(variants)[0]!]!;
    const label = labelOf(`plan${variant === undefined ? "" : ` ${variant}`}`, {
      pass,
      dimensions,
    });
    return checkedPlan(planner(gpu, tensors, dimensions), label);
  };
  return {
    operator: operatorOf({ name, pass }),
    plan,
    prepare: (gpu, options) => prepare(gpu, custom(), { ...options, pass }),
    roughWork(dimensions) {
      const { flops, bytes } = costOf(custom(), { pass, dimensions });
      return Math.max(flops, bytes);
    },
  };
}

/** The name under which tuned choices store a pass of an operator. */
export function operatorOf(
  { name, pass }: { readonly name: string; readonly pass: PassName },
): string {
  return `${name} ${pass}`;
}

function checkedPlan(made: unknown, label: string): Planned {
  if (!isRecord(made) || !(made.plan instanceof Plan)) {
    throw new TypeError(
      `${label} returned ${
        isRecord(made) ? `{ ${Object.keys(made).join(", ")} }` : describe(made)
      }` +
        ", wanted { plan, ...outputs } with a plan made by new Plan",
    );
  }
  for (const [name, output] of Object.entries(made)) {
    if (name === "plan" || output instanceof Tensor) continue;
    made.plan.dispose();
    throw new TypeError(`${label} returned ${describe(output)} for ${name}, wanted a tensor`);
  }
  return made as Planned;
}

type Preparation = PrepareOptions<Dimensions, MeasuredPass["plan"]> & { readonly pass: PassName };

function prepare(
  gpu: Gpu,
  custom: CustomPass,
  { dimensions, seed, pass, plan: planCall, keep }: Preparation,
): Prepared {
  const call: Call = { pass, dimensions };
  const cost = costOf(custom, call);
  const inputs = drawInputs(custom, { ...call, seed });
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, { data, shape }]) => [
      name,
      keep(gpu.tensor(Float32Array.from(data), [...shape])),
    ]),
  );
  const { plan, ...outputs } = planCall(gpu, { tensors, dimensions } as never) as Planned;
  keep(plan);
  for (const tensor of Object.values(outputs)) keep(tensor);
  if (plan.cost.flops !== cost.flops || plan.cost.bytes !== cost.bytes) {
    const text = ({ flops, bytes }: typeof cost) => `{ flops: ${flops}, bytes: ${bytes} }`;
    throw new TypeError(
      `${labelOf("plan", call)} has the cost ${text(plan.cost)}, and cost says ${text(cost)}; ` +
        "give cost(lengths) to new Plan, so that all variants share one measure",
    );
  }
  return {
    plan,
    outputs,
    tolerance: custom.tolerance ?? DEFAULT_TOLERANCE,
    samples(read): Sample[] {
      const wanted = runTwin(custom, inputs, call);
      const [own, other] = [Object.keys(wanted), Object.keys(outputs)].map((names) =>
        names.sort().join(", ")
      );
      if (own !== other) {
        throw new TypeError(
          `${labelOf("twin", call)} computes ${own}, and the plan ${other || "nothing"}; wanted ` +
            "the same outputs",
        );
      }
      return Object.entries(outputs).flatMap(([name, tensor]) =>
        rowsOf(name, { actual: read[name]!, wanted: wanted[name]!, tensor, call })
      );
    },
  };
}

function rowsOf(
  output: string,
  { actual, wanted, tensor, call }: {
    readonly actual: Float32Array;
    readonly wanted: ArrayLike<number>;
    readonly tensor: Tensor;
    readonly call: Call;
  },
): Sample[] {
  if (wanted.length !== tensor.length) {
    throw new TypeError(
      `${labelOf("twin", call)} returned ${wanted.length} numbers for ${output}, and the plan's ` +
        `tensor has ${tensor.length}, of shape [${tensor.shape.join(", ")}]`,
    );
  }
  const length = tensor.shape.at(-1) ?? 1;
  const numbers = Float64Array.from(wanted);
  return Array.from({ length: actual.length / length }, (_, row) => ({
    output,
    actual: actual.subarray(row * length, (row + 1) * length),
    wanted: numbers.subarray(row * length, (row + 1) * length),
  }));
}
