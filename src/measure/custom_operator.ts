/**
 * A custom operator, which a user describes in one file. It joins the suite's operators, and is
 * checked, timed, tuned and compared like them.
 */
import { addTunableOperator } from "../ops/tuning/operators.ts";
import type { CustomOperator } from "./custom_operator/description.ts";
import { checkedOperator } from "./custom_operator/exports.ts";
import { measuredPass } from "./custom_operator/measured_pass.ts";
import { type OperatorOutline, outlineOf } from "./custom_operator/outline.ts";
import { tunablePass } from "./custom_operator/tunable_pass.ts";
import type { PassName } from "./workloads/operator.ts";
import { addOperator } from "./workloads/operators.ts";

export type { CustomOperator, CustomPass, CustomPlanner } from "./custom_operator/description.ts";
export type { OperatorOutline } from "./custom_operator/outline.ts";
export type { HostTensor, TensorSource } from "./custom_operator/tensors.ts";

/**
 * Adds a custom operator to the measured ones for the rest of this program: `createWorkload`,
 * `shapesOf` and `variantsOf` then know its name.
 *
 * @param exported what the operator's file exports, such as `await import("./softcap.ts")`
 * @param options.digest identifies the version of the file; result files and tuned choices store it
 * @returns the operator's name, passes, variants and shapes
 * @throws {TypeError} if an export is missing, misspelled or of the wrong kind, or if `cost`,
 *   `inputs` or `twin` (the float64 reference) returns a value of the wrong form
 * @throws {RangeError} for a wrong value, such as a name that is in use or a length below 1, or if
 *   `cost`, `inputs` or `twin` throws
 *
 * @example
 * ```ts
 * import { openGpu, Plan } from "@gradsink/gradsink";
 * import { addCustomOperator, createWorkload, shapesOf } from "@gradsink/gradsink/measure";
 *
 * const source = `
 *   @group(0) @binding(1) var<storage, read> x: array<f32>;
 *   @group(0) @binding(2) var<storage, read_write> y: array<f32>;
 *   @compute @workgroup_size(64)
 *   fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = x[id.x] * x[id.x]; }`;
 *
 * addCustomOperator({
 *   name: "square",
 *   shapes: [{ n: 4096 }],
 *   inputs: ({ n }, random) => ({ x: random.normal([n]) }),
 *   twin: ({ x }) => ({ y: x.data.map((x) => x * x) }),
 *   cost: ({ n }) => ({ flops: n, bytes: 8 * n }),
 *   plan(gpu, { x }, { n }) {
 *     const y = gpu.empty([n]);
 *     const plan = new Plan(gpu, {
 *       operator: "square",
 *       cost: { flops: n, bytes: 8 * n },
 *       dispatches: [{
 *         kernel: { parts: [{ file: "square.wgsl", source }] },
 *         parameters: [],
 *         buffers: [x, y],
 *         workgroups: [n / 64],
 *       }],
 *     });
 *     return { plan, y };
 *   },
 * });
 * using gpu = await openGpu();
 * const [shape] = shapesOf("square", { software: gpu.info.software });
 * using workload = createWorkload(gpu, { kernel: "square", pass: "forward", shape: shape! });
 * const { error, tolerance } = await workload.check();
 * console.log(error <= tolerance); // true
 * ```
 */
export function addCustomOperator<
  Lengths extends object,
  Inputs extends string,
  BackwardInputs extends string = string,
>(
  exported: CustomOperator<Lengths, Inputs, BackwardInputs>,
  { digest = "unknown" }: { readonly digest?: string } = {},
): OperatorOutline {
  const operator = checkedOperator(exported);
  const outline = outlineOf(operator, digest);
  add(outline, operator);
  return outline;
}

/**
 * Adds an operator whose file another process runs. This process can request the operator's
 * measurements, but computes nothing itself.
 *
 * @param outline the other process's report
 * @throws {RangeError} if the name is in use
 */
export function addOutlinedOperator(outline: OperatorOutline): void {
  add(outline, undefined);
}

function add(outline: OperatorOutline, operator: CustomOperator | undefined): void {
  const { name, digest, shapes } = outline;
  const passes = Object.keys(outline.passes) as PassName[];
  addOperator(name, {
    digest,
    passes: Object.fromEntries(
      passes.map((pass) => [pass, measuredPass(operator, { name, pass })]),
    ),
    shapes: (software) => software ? shapes.software : shapes.hardware,
    smaller: () => undefined,
  });
  for (const pass of passes) addTunableOperator(tunablePass(outline, pass));
}
