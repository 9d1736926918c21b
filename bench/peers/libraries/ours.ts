/** This project's kernels, with the variants that callers get on this adapter. */
import { planAttentionBackward, planAttentionForward } from "../../../src/ops/attention.ts";
import { openGpu } from "../../../src/ops/open_gpu.ts";
import { planRmsNormBackward, planRmsNormForward } from "../../../src/ops/rms_norm.ts";
import { tunableOperators } from "../../../src/ops/tuning/operators.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import type { Plan } from "../../../src/gpu/plan.ts";
import type { Tensor } from "../../../src/gpu/tensor.ts";
import config from "../../../deno.json" with { type: "json" };
import type { Peer, PreparedWork } from "../peer.ts";
import type { Numbers } from "../works.ts";
import { EPSILON, type Work } from "../works.ts";
import { prepareModel } from "./ours/model.ts";

/** Opens the GPU. */
export async function loadPeer(): Promise<Peer> {
  const gpu = await openGpu();
  return {
    versions: { gradsink: config.version },
    prepare: async (work, inputs) => [
      work.operator === "model"
        ? await prepareModel(gpu, work, inputs)
        : prepareWork(gpu, work, inputs),
    ],
  };
}

function prepareWork(gpu: Gpu, work: Work, inputs: Numbers): PreparedWork {
  const { plans, outputs } = work.operator === "attention"
    ? attentionPlans(gpu, work, inputs)
    : rowPlans(gpu, work, inputs);
  return {
    way: wayOf(gpu, work),
    run: () => gpu.run(plans),
    finish: () => gpu.sync(),
    async read() {
      const read: Record<string, Float32Array<ArrayBuffer>> = {};
      for (const [name, tensor] of Object.entries(outputs)) {
        read[name] = Float32Array.from(await tensor.read());
      }
      return read;
    },
  };
}

interface Planned {
  readonly plans: readonly Plan[];
  readonly outputs: Readonly<Record<string, Tensor>>;
}

function attentionPlans(gpu: Gpu, { pass, dimensions }: Work, inputs: Numbers): Planned {
  const { H, T, D } = dimensions as { H: number; T: number; D: number };
  const tensor = (name: string) => gpu.tensor(inputs[name]!, [1, H, T, D]);
  const operands = { query: tensor("query"), key: tensor("key"), value: tensor("value") };
  const { plan, output, logSumExp } = planAttentionForward(gpu, operands);
  if (pass === "forward") return { plans: [plan], outputs: { output } };
  const { plan: backward, ...gradients } = planAttentionBackward(gpu, {
    ...operands,
    output,
    logSumExp,
    outputGradient: tensor("outputGradient"),
  });
  return { plans: [plan, backward], outputs: { ...gradients } };
}

function rowPlans(gpu: Gpu, { pass, dimensions }: Work, inputs: Numbers): Planned {
  const { rows, d } = dimensions as { rows: number; d: number };
  const input = gpu.tensor(inputs.input!, [rows, d]);
  const gain = gpu.tensor(inputs.gain!, [d]);
  const { plan, output, inverseRms } = planRmsNormForward(gpu, { input, gain, epsilon: EPSILON });
  if (pass === "forward") return { plans: [plan], outputs: { output } };
  const { plan: backward, ...gradients } = planRmsNormBackward(gpu, {
    input,
    gain,
    inverseRms,
    outputGradient: gpu.tensor(inputs.outputGradient!, [rows, d]),
  });
  return { plans: [plan, backward], outputs: { ...gradients } };
}

function wayOf(gpu: Gpu, { operator, pass, dimensions }: Work): string {
  const { H, T, D } = dimensions;
  const [name, lengths] = operator === "attention"
    ? ["attention", { B: 1, Hq: H!, Hkv: H!, T: T!, D: D! }]
    : ["rmsNorm", dimensions as Record<string, number>];
  const passes = pass === "forward" ? ["Forward"] : ["Forward", "Backward"];
  return passes.map((each) => tunableOperators.get(name + each)!.choose(gpu, lengths)).join(", ");
}
