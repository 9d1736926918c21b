/** All measured operators. A new one is a file beside this one, and a line here. */
import { attention } from "./attention.ts";
import { attentionSinkStatistics } from "./attention_sink_statistics.ts";
import { matmul } from "./matmul.ts";
import type { MeasuredOperator, MeasuredPass, PassName } from "./operator.ts";
import { rmsNorm } from "./rms_norm.ts";
import { vScale } from "./v_scale.ts";

const operators = {
  "attention": attention(),
  "attention-v-scale-full": attention("full"),
  "attention-v-scale-backward-only": attention("backward-only"),
  "rms-norm": rmsNorm,
  "v-scale": vScale,
  "attention-sink-statistics": attentionSinkStatistics,
  "matmul": matmul,
} as const satisfies Record<string, MeasuredOperator>;

/** A measured operator, by the name that result files carry as their `kernel`. */
export type OperatorName = keyof typeof operators;

/** The names of all measured operators, in the order of the tables. */
export const operatorNames = Object.keys(operators) as OperatorName[];

/** The passes of each operator. */
export const operatorPasses = Object.fromEntries(
  Object.entries(operators).map(([name, { passes }]) => [name, Object.keys(passes)]),
) as unknown as Readonly<Record<OperatorName, readonly PassName[]>>;

/**
 * The operator of a name.
 *
 * @param name the operator's
 * @throws {RangeError} if there is none
 */
export function operatorNamed(name: OperatorName): MeasuredOperator {
  if (Object.hasOwn(operators, name)) return operators[name];
  throw new RangeError(
    `workloads: operator is ${JSON.stringify(name)}, wanted one of ${operatorNames.join(", ")}`,
  );
}

/**
 * A pass of an operator.
 *
 * @param name the operator's
 * @param pass its direction
 * @throws {RangeError} if there is no such operator or pass
 */
export function passNamed(name: OperatorName, pass: PassName): MeasuredPass {
  const found = Object.hasOwn(operators, name) ? operators[name].passes[pass] : undefined;
  if (found !== undefined) return found;
  const known = operatorNames.flatMap((each) =>
    operatorPasses[each].map((direction) => `${each} ${direction}`)
  );
  throw new RangeError(
    `workloads: operator and pass are ${name} ${pass}, wanted one of ${known.join(", ")}`,
  );
}
