/** For tests: stores a tuned choice for this adapter, the portable variant of RMSNorm forward. */
import { openGpu } from "../../../mod.ts";
import { storeTuning } from "../../../src/measure/tuning/store.ts";
import { tunableOperators } from "../../../src/ops/tuning/operators.ts";
import { candidatesHash } from "../../../src/ops/tuning/choices.ts";

using gpu = await openGpu({ tuning: false });
const operator = tunableOperators.get("rmsNormForward")!;
const dimensions = { rows: 64, d: 64 };
await storeTuning(gpu.info, [{
  operator: operator.operator,
  shapeClass: operator.shapeClass(dimensions),
  dtype: "f32",
  dimensions,
  variant: "portable",
  candidatesHash: await candidatesHash(gpu.info, operator, dimensions),
  times: {},
  date: new Date().toISOString(),
}]);
Deno.exit(0);
