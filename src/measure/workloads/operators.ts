/**
 * All measured operators. To add one to the suite, add a file in this folder and a line here.
 * `addOperator` adds a custom operator.
 */
import { attention } from "./attention.ts";
import { attentionSinkStatistics } from "./attention_sink_statistics.ts";
import { matmul } from "./matmul.ts";
import type { MeasuredOperator, MeasuredPass, PassName } from "./operator.ts";
import { rmsNorm } from "./rms_norm.ts";
import { vScale } from "./v_scale.ts";

const operators: Record<string, MeasuredOperator> = {
  "attention": attention(),
  "attention-v-scale-full": attention({ vScale: "full" }),
  "attention-v-scale-backward-only": attention({ vScale: "backward-only" }),
  "attention-sink-logit": attention({ sink: true }),
  "rms-norm": rmsNorm,
  "v-scale": vScale,
  "attention-sink-statistics": attentionSinkStatistics,
  "matmul": matmul,
};

/** A measured operator's name; result files store it as `kernel`. */
export type OperatorName = string;

const names = Object.keys(operators);

/** The names of all measured operators, in the order of the tables. `addOperator` adds names. */
export const operatorNames: readonly OperatorName[] = names;

/**
 * Adds an operator for the rest of this process.
 *
 * @throws {RangeError} if the name is in use
 */
export function addOperator(name: OperatorName, operator: MeasuredOperator): void {
  if (Object.hasOwn(operators, name)) {
    throw new RangeError(
      `name is ${JSON.stringify(name)}, which the suite measures already; wanted another name`,
    );
  }
  operators[name] = operator;
  names.push(name);
}

/**
 * Finds an operator by name.
 *
 * @throws {RangeError} if there is none with this name
 */
export function operatorNamed(name: OperatorName): MeasuredOperator {
  if (Object.hasOwn(operators, name)) return operators[name]!;
  throw new RangeError(
    `workloads: operator is ${JSON.stringify(name)}, wanted one of ${operatorNames.join(", ")}`,
  );
}

/**
 * The passes of an operator.
 *
 * @param name the operator's name
 * @throws {RangeError} if there is none with this name
 */
export function passesOf(name: OperatorName): readonly PassName[] {
  return Object.keys(operatorNamed(name).passes) as PassName[];
}

/**
 * Finds a pass of an operator.
 *
 * @throws {RangeError} if there is no such operator or pass
 */
export function passNamed(name: OperatorName, pass: PassName): MeasuredPass {
  const found = Object.hasOwn(operators, name) ? operators[name]!.passes[pass] : undefined;
  if (found !== undefined) return found;
  const known = operatorNames.flatMap((each) =>
    passesOf(each).map((direction) => `${each} ${direction}`)
  );
  throw new RangeError(
    `workloads: operator and pass are ${name} ${pass}, wanted one of ${known.join(", ")}`,
  );
}
