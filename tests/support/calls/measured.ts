/**
 * Small calls of every operator that the bench measures, one per pass. other.ts has the calls of
 * all other operators.
 */
import { type Gpu, Tensor } from "../../../mod.ts";
import { operatorNames, passesOf, passNamed } from "../../../src/measure/workloads/operators.ts";
import type { Planner } from "../../../src/measure/workloads/prepare.ts";
import { oddShape } from "../../measure/workloads/small_shapes.ts";
import type { Argument, OperatorCall } from "./other.ts";

/** The names in `mod.ts` of the `plan…` functions of all measured operators. */
export const measuredPlanners: ReadonlySet<string> = new Set(
  operatorNames.flatMap((name) => passesOf(name).map((pass) => passNamed(name, pass).plan.name)),
);

/**
 * Makes one call for each pass of every measured operator, with the options from the operator's
 * workload. Disposes of all tensors that the workloads made on `gpu`.
 */
export async function measuredCalls(gpu: Gpu): Promise<OperatorCall[]> {
  const calls: OperatorCall[] = [];
  for (const name of operatorNames) {
    for (const pass of passesOf(name)) {
      const { operator, plan, prepare } = passNamed(name, pass);
      const owned: { dispose(): void }[] = [];
      let options: Record<string, unknown> = {};
      const recorder: Planner = (planningGpu, given) => {
        options = given;
        return plan(planningGpu, given);
      };
      const prepared = prepare(gpu, {
        dimensions: oddShape(name),
        seed: 1,
        plan: recorder,
        keep(item) {
          owned.push(item);
          return item;
        },
      });
      const called = plan as OperatorCall["plan"];
      calls.push({ operator, plan: called, written: {}, ...await separate(options) });
      for (const item of [...owned, prepared.plan, ...Object.values(prepared.outputs)]) {
        item.dispose();
      }
    }
  }
  return calls;
}

/**
 * Splits an operator's options into tensors, which it reads, and settings: the inverse of
 * `optionsOf`.
 */
async function separate(
  options: Readonly<Record<string, unknown>>,
): Promise<Pick<OperatorCall, "inputs" | "settings">> {
  const inputs: Record<string, Argument> = {};
  const settings: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value instanceof Tensor) inputs[name] = await argumentOf(value);
    else if (typeof value === "object" && value !== null) {
      const [list, own] = [Array.isArray(value), await separate({ ...value })];
      for (const [field, argument] of Object.entries(own.inputs)) {
        inputs[list ? `${name}[${field}]` : `${name}.${field}`] = argument;
      }
      if (Object.keys(own.settings).length > 0) settings[name] = own.settings;
    } else settings[name] = value;
  }
  return { inputs, settings };
}

async function argumentOf(tensor: Tensor): Promise<Argument> {
  return { shape: tensor.shape, data: await tensor.read() };
}
