/** Learned sinks in attention. Calls without a sink run kernels without code for sinks. */
import { type Gpu, type Plan, planAttentionBackward, planAttentionForward } from "../../../mod.ts";
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { onEachRuntime } from "../../support/gpu.ts";
import {
  attentionWithSinksMatchesTwin,
  sinksHaveLimits,
  sinksObeyTheirIdentities,
  sinksStayInTheirHeads,
} from "../../support/properties/attention/sinks.ts";

onEachRuntime("attention with learned sinks agrees with the twin", attentionWithSinksMatchesTwin);
onEachRuntime("attention with learned sinks obeys S1, S3 and S4", sinksObeyTheirIdentities);
onEachRuntime("learned sinks have the limits S5", sinksHaveLimits);
onEachRuntime("NaN in a learned sink stays in its head", sinksStayInTheirHeads);

/**
 * The number of dispatches that a call plans, and the files of its kernels that read sinks or the
 * gradient of logSumExp.
 */
interface Planned {
  readonly dispatches: number;
  readonly knowing: readonly string[];
}

/** Plans a call, lists kernels with sinks or logSumExp's gradient, and frees plan and results. */
function plannedBy(gpu: Gpu, plan: () => { readonly plan: Plan }): Planned {
  const knowing: string[] = [];
  gpu.pipelines.rewrite = ({ file, source }) => {
    const code = source.replaceAll(/\/\/.*/g, "");
    if (/sinkLogit|logSumExpGradient/.test(code)) knowing.push(file);
    return source;
  };
  const { plan: planned, ...results } = plan();
  const { dispatches } = planned;
  planned.dispose();
  for (const result of Object.values(results)) (result as Disposable)[Symbol.dispose]();
  return { dispatches, knowing };
}

/** The tensors of a call with two sequences of this length. */
function tensorsOf(gpu: Gpu, length: number) {
  const tensor = (shape: number[]) => gpu.empty(shape);
  const inputs = {
    query: tensor([2, 2, length, 12]),
    key: tensor([2, 1, length, 12]),
    value: tensor([2, 1, length, 12]),
  };
  const results = {
    output: tensor([2, 2, length, 12]),
    logSumExp: tensor([2, 2, length]),
    outputGradient: tensor([2, 2, length, 12]),
  };
  const sinkLogit = tensor([2]), logSumExpGradient = tensor([2, 2, length]);
  return { inputs, results, sinkLogit, logSumExpGradient };
}

const fewRows = ["attention/sink/new_row.wgsl", "attention/sink/backward.wgsl"];
const manyRows = ["attention/sink/stored_row.wgsl", "attention/sink/backward.wgsl"];
const ofLogSumExp = "attention/backward_log_sum_exp.wgsl";

onEachRuntime(
  "a call without sinks plans no kernel that reads them, and no extra dispatch",
  async (opened) => {
    // A dry `Gpu`, because compiling would take SwiftShader minutes and show no more.
    using gpu = createDryGpu(opened.info);
    const few = tensorsOf(gpu, 128);
    const { inputs, sinkLogit } = few;
    const runs: Record<string, readonly (string | undefined)[]> = {
      forward: [undefined, "portable", "barrier-free", "tiled-32x32", "tiled-32x32-f16"],
      backward: [undefined, "portable", "panels-barrier-free", "tiled-32x32", "tiled-32x32-f16"],
    };
    for (const variant of runs.forward!) {
      const named = variant === undefined ? {} : { variant };
      const plan = (sinks: object) =>
        plannedBy(gpu, () => planAttentionForward(gpu, { ...inputs, ...sinks, ...named }));
      const plain = plan({}), withSinks = plan({ sinkLogit });
      assertEquals(plain.knowing, [], variant);
      assert(withSinks.knowing.length > 0, `${variant} does not read the sinks`);
      assertEquals(withSinks.dispatches, plain.dispatches, variant);
    }
    // If a head has at most 256 rows (B · T), one kernel computes the rows' statistics and the
    // sinks' gradient. In `many` a head has 258.
    const many = tensorsOf(gpu, 129);
    const cases = [
      { tensors: few, ofSink: fewRows, ofBoth: fewRows, extra: 0 },
      { tensors: many, ofSink: manyRows, ofBoth: [ofLogSumExp, ...manyRows], extra: 1 },
    ];
    for (const { tensors, ofSink, ofBoth, extra } of cases) {
      const { inputs, results, sinkLogit, logSumExpGradient } = tensors;
      for (const variant of runs.backward!) {
        const named = variant === undefined ? {} : { variant };
        const plan = (sinks: object) =>
          plannedBy(
            gpu,
            () => planAttentionBackward(gpu, { ...inputs, ...results, ...sinks, ...named }),
          );
        const plain = plan({});
        assertEquals(plain.knowing, [], variant);
        const withSinks = plan({ sinkLogit });
        assertEquals(withSinks.knowing, ofSink, variant);
        assertEquals(withSinks.dispatches, plain.dispatches + extra, variant);
        const withBoth = plan({ sinkLogit, logSumExpGradient });
        assertEquals(withBoth.knowing, ofBoth, variant);
        assertEquals(withBoth.dispatches, plain.dispatches + 2 * extra, variant);
        const withGradient = plan({ logSumExpGradient });
        assertEquals(withGradient.knowing, [ofLogSumExp], variant);
        assertEquals(withGradient.dispatches, plain.dispatches + 1, variant);
      }
    }
    for (const { inputs, results, ...rest } of [few, many]) {
      for (const each of Object.values({ ...inputs, ...results, ...rest })) each.dispose();
    }
    await gpu.sync();
    assertEquals(gpu.memory.buffers, 0);
  },
  { runtimes: ["deno"] },
);
