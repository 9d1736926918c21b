/** The costs and extra memory of plans equal what counting every operation and element gives. */
import {
  type Cost,
  type Gpu,
  type Plan,
  planAttentionBackward,
  planAttentionForward,
  planAttentionSinkStatistics,
  planRmsNormBackward,
  planRmsNormForward,
  planVScaleBackward,
  planVScaleForward,
  Tensor,
} from "../../mod.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";
import { onEachRuntime } from "../support/gpu.ts";

const shape = { batches: 2, queryHeads: 6, keyValueHeads: 3, length: 5, headDim: 8 };

/** Adds up `operations` for every pair of a query and a key that it sees, in plain loops. */
function countPairs(operations: number, { batches, queryHeads, length } = shape): number {
  let flops = 0;
  for (let head = 0; head < batches * queryHeads; head++) {
    for (let t = 0; t < length; t++) {
      for (let j = 0; j <= t; j++) flops += operations;
    }
  }
  return flops;
}

/** The bytes of all tensors, each counted once. */
function bytesOf(...groups: readonly object[]): number {
  const tensors = new Set(groups.flatMap((group) => Object.values(group)));
  let bytes = 0;
  for (const tensor of tensors) if (tensor instanceof Tensor) bytes += 4 * tensor.length;
  return bytes;
}

function attentionInputs(gpu: Gpu, length = shape.length): Record<
  "query" | "key" | "value" | "outputGradient" | "output" | "logSumExp" | "constant",
  Tensor
> {
  const { batches, queryHeads, keyValueHeads, headDim } = shape;
  const query = [batches, queryHeads, length, headDim];
  const key = [batches, keyValueHeads, length, headDim];
  return {
    query: gpu.empty(query),
    key: gpu.empty(key),
    value: gpu.empty(key),
    outputGradient: gpu.empty(query),
    output: gpu.empty(query),
    logSumExp: gpu.empty(query.slice(0, 3)),
    constant: gpu.tensor([1, 1, 1], [keyValueHeads]),
  };
}

function free(...groups: readonly object[]): void {
  for (const value of groups.flatMap((group) => Object.values(group))) {
    (value as Partial<Disposable>)[Symbol.dispose]?.();
  }
}

/** Checks a planned call's cost and frees everything. */
function check(
  planned: { readonly plan: Plan },
  { inputs, cost }: { readonly inputs: object; readonly cost: Cost },
): void {
  assertEquals({ ...planned.plan.cost }, { ...cost }, planned.plan.operator);
  free(planned, inputs);
}

onEachRuntime("attention's cost is what its loops do and its tensors hold", async (gpu) => {
  const { headDim } = shape;
  for (const mode of [undefined, "full", "backward-only"] as const) {
    const { query, key, value, output, logSumExp, outputGradient, constant } = attentionInputs(gpu);
    const scaled = mode === "full";
    const vScale = mode === undefined ? {} : { vScale: { constant, mode } };
    const forward = planAttentionForward(gpu, { query, key, value, ...vScale });
    check(forward, {
      inputs: {},
      cost: {
        // FLOPs per pair: ⟨q, k⟩ and a · v, D multiply-adds each. Per value element: 2 for r =
        // ‖v‖², 1 for φ v.
        flops: countPairs(2 * headDim + 2 * headDim) + (scaled ? value.length * 3 : 0),
        bytes: bytesOf({ query, key, value, output, logSumExp }, scaled ? { constant } : {}),
      },
    });
    const args = { query, key, value, output, logSumExp, outputGradient, ...vScale };
    const backward = planAttentionBackward(gpu, args);
    const gradients = bytesOf(backward);
    assertEquals(
      gradients,
      bytesOf({ query, key, value }, mode === undefined ? {} : { constant }),
    );
    check(backward, {
      inputs: { ...args, constant },
      cost: {
        // FLOPs per pair: ⟨q, k⟩, ⟨g, v⟩, dz · k, dz · q and a · g, D multiply-adds each. Per
        // output element: 2 for ⟨g, y⟩. Per value element: 2 each for r and ⟨v, u⟩, and 3 for φ u +
        // c v, where c is one number per row.
        flops: countPairs(5 * 2 * headDim) + 2 * query.length +
          (mode === undefined ? 0 : value.length * 7),
        bytes: gradients +
          bytesOf(
            { query, key, value, output, logSumExp, outputGradient },
            mode === undefined ? {} : { constant },
          ),
      },
    });
  }
  await gpu.sync();
  assertEquals(gpu.memory.buffers, 0);
});

onEachRuntime(
  "learned sinks and a gradient of logSumExp add to attention's cost what they read and write",
  async (gpu) => {
    const { constant, ...inputs } = attentionInputs(gpu);
    const sinkLogit = gpu.tensor([1, 2, 3, 4, 5, 6], [shape.queryHeads]);
    const logSumExpGradient = gpu.empty(inputs.logSumExp.shape);
    const rows = inputs.logSumExp.length;
    const cost = ({ plan: { cost }, ...results }: { readonly plan: Plan }) => ({
      ...cost,
      bytesOfResults: bytesOf(results),
    });
    const planned = [
      planAttentionForward(gpu, inputs),
      planAttentionForward(gpu, { ...inputs, sinkLogit }),
      planAttentionBackward(gpu, inputs),
      planAttentionBackward(gpu, { ...inputs, sinkLogit }),
      planAttentionBackward(gpu, { ...inputs, logSumExpGradient }),
    ];
    const [plainForward, forward, plainBackward, ofSink, ofLogSumExp] = planned.map(cost);
    // Additional FLOPs per row. Forward: one exponential. Backward with a sink: a multiply-add for
    // Σ −b_t D_t, where b_t is the sink's weight and D_t = ⟨g_t, y_t⟩. Backward with a gradient ℓ
    // of logSumExp: a subtraction, D_t − ℓ_t.
    assertEquals(forward!.flops - plainForward!.flops, rows);
    assertEquals(forward!.bytes - plainForward!.bytes, bytesOf({ sinkLogit }));
    assertEquals(ofSink!.flops - plainBackward!.flops, 2 * rows);
    assertEquals(ofSink!.bytes - plainBackward!.bytes, 2 * bytesOf({ sinkLogit }));
    assertEquals(ofSink!.bytesOfResults - plainBackward!.bytesOfResults, bytesOf({ sinkLogit }));
    assertEquals(ofLogSumExp!.flops - plainBackward!.flops, rows);
    assertEquals(ofLogSumExp!.bytes - plainBackward!.bytes, bytesOf({ logSumExpGradient }));
    free(...planned, inputs, { constant, sinkLogit, logSumExpGradient });
    await gpu.sync();
    assertEquals(gpu.memory.buffers, 0);
  },
);

onEachRuntime("attentionSinkStatistics' cost is what its loops do", async (gpu) => {
  const { batches, queryHeads, keyValueHeads, length, headDim } = shape;
  for (const position of [0, 3]) {
    const { query, key, logSumExp, ...others } = attentionInputs(gpu);
    let flops = 0, elements = 0;
    for (let head = 0; head < batches * queryHeads; head++) {
      for (let t = position; t < length; t++) {
        flops += 2 * headDim + 6;
        elements += headDim + 1; // a query and its logSumExp
      }
      elements += 3; // three results
    }
    elements += batches * keyValueHeads * headDim; // one key per head
    check(planAttentionSinkStatistics(gpu, { query, key, logSumExp, position }), {
      inputs: { query, key, logSumExp, ...others },
      cost: { flops, bytes: 4 * elements },
    });
  }
  await gpu.sync();
});

onEachRuntime("RMSNorm's and V-scale's cost is what their loops do", async (gpu) => {
  const rows = gpu.empty([3, 7, 10]);
  const rmsNorm = { input: rows, gain: gpu.empty([10]) };
  const inverseRms = gpu.empty([3, 7]);
  const forward = planRmsNormForward(gpu, rmsNorm);
  const forwardBytes = bytesOf(rmsNorm, forward);
  check(forward, { inputs: {}, cost: { flops: 4 * 210, bytes: forwardBytes } });
  const backwardArgs = { ...rmsNorm, inverseRms, outputGradient: gpu.empty([3, 7, 10]) };
  const backward = planRmsNormBackward(gpu, backwardArgs);
  const backwardBytes = bytesOf(backwardArgs, backward);
  check(backward, { inputs: backwardArgs, cost: { flops: 9 * 210, bytes: backwardBytes } });
  assertEquals([forwardBytes, backwardBytes], [4 * (210 + 210 + 10 + 21), 4 * (630 + 20 + 21)]);

  const value = gpu.empty([2, 3, 5, 7]);
  const constant = gpu.tensor([1, 2, 3], [3]);
  const scaled = planVScaleForward(gpu, { value, constant });
  check(scaled, {
    inputs: {},
    cost: { flops: 3 * 210, bytes: bytesOf({ value, constant }, scaled) },
  });
  const args = { value, constant, scaledValueGradient: gpu.empty([2, 3, 5, 7]) };
  const gradients = planVScaleBackward(gpu, args);
  const bytes = bytesOf(args, gradients);
  check(gradients, { inputs: args, cost: { flops: 7 * 210, bytes } });
  assertEquals(bytes, 4 * (3 * 210 + 2 * 3));
  await gpu.sync();
});

onEachRuntime("plans need memory beside their tensors that is linear in T", async (gpu) => {
  const vScaleOf = (constant: Tensor) => ({ vScale: { constant, mode: "full" as const } });
  const extra = (length: number): number[] => {
    const { constant, ...inputs } = attentionInputs(gpu, length);
    const { query, key, value } = inputs;
    const planners = [
      () => planAttentionForward(gpu, { query, key, value }),
      () => planAttentionForward(gpu, { query, key, value, ...vScaleOf(constant) }),
      () => planAttentionBackward(gpu, { ...inputs, variant: "portable" }),
      () => planAttentionBackward(gpu, { ...inputs, ...vScaleOf(constant), variant: "portable" }),
      () => planAttentionSinkStatistics(gpu, inputs),
      () => planAttentionBackward(gpu, { ...inputs, ...vScaleOf(constant) }),
    ];
    const needed = planners.map((planner) => {
      const before = gpu.memory.bytes;
      const planned = planner();
      const needed = gpu.memory.bytes - before - bytesOf(planned);
      planned.plan.dispose();
      assertEquals(gpu.memory.bytes - before, bytesOf(planned), "the plan kept some of its memory");
      free(planned);
      return needed;
    });
    free(inputs, { constant });
    return needed;
  };
  const [short, long] = [extra(256), extra(1024)]; // both lengths choose the same kernels
  const { batches, queryHeads, keyValueHeads } = shape;
  // The portable backward keeps 8 bytes per query row. With V-scale, forward and backward each keep
  // another 8 per value row. The rest is uniforms.
  const rows = [0, keyValueHeads, queryHeads, queryHeads + keyValueHeads, 0];
  rows.forEach((heads, i) => {
    assertEquals(long[i]! - short[i]!, 8 * batches * heads * (1024 - 256));
    assert(short[i]! - 8 * batches * heads * 256 <= 256, `${short[i]} bytes`);
  });
  // The last entry is the backward of the variant that the operator chooses. It may keep more
  // memory, but only in proportion to the length, and less than one number per pair of tokens.
  const [shortest, longest] = [short.at(-1)!, long.at(-1)!];
  assert(longest <= 4 * shortest, `${shortest} bytes, then ${longest}`);
  assert(longest < 4 * batches * queryHeads * 1024 ** 2, `${longest} bytes`);
  await gpu.sync();
});
