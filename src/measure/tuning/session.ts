/** Lists an adapter's calls to tune, and races each call's variants in child processes. */
import { createDryGpu } from "../../gpu/dry_gpu.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { GpuInfo } from "../../gpu/gpu_info.ts";
import type { Cost } from "../../gpu/plan.ts";
import type { Dimensions, TunableOperator } from "../../ops/tuning/operators.ts";
import type { MeasuringSession } from "../child/session.ts";
import type { Measurement } from "../result_file.ts";
import type { Job, Work } from "../jobs.ts";
import type { CandidateResult, RunHeat, TuningWork } from "../tuning.ts";
import { tunableOperator } from "../workloads/variants.ts";

/**
 * The most bytes of memory for the variants that race at once (a heat). A heat of only three
 * variants may take more.
 */
const HEAT_MEMORY = 2 ** 30;
/**
 * A variant's inputs, outputs, scratch and check take at most this many times the bytes that one
 * run must read and write.
 */
const MEMORY_PER_BYTE = 3;
const HEAT_SIZES = { least: 3, most: 16 };

/**
 * Lists the calls to tune on an adapter: one per class, with the candidates that fit the adapter's
 * limits.
 *
 * @param info the adapter
 * @param work operators, passes and shapes; of several shapes in one class, only the first counts
 * @returns the calls with more than one candidate, those with the least arithmetic first
 */
export function listTuningWork(info: GpuInfo, work: readonly Work[]): TuningWork[] {
  using dry = createDryGpu(info);
  const byClass = new Map<string, TuningWork & { readonly flops: number }>();
  for (const { kernel, pass, shape } of work) {
    const operator = tunableOperator(kernel, pass);
    if (operator === undefined) continue;
    const { dimensions } = shape;
    const shapeClass = operator.shapeClass(dimensions);
    const key = `${operator.operator} ${shapeClass}`;
    if (byClass.has(key)) continue;
    const fits = operator.variants
      .map((variant) => ({ variant, reason: operator.unfit(dry, dimensions, variant) }));
    const candidates = fits.filter(({ reason }) => reason === undefined)
      .map(({ variant }) => variant);
    if (candidates.length < 2) continue;
    const usual = operator.choose(dry, dimensions);
    const { flops, bytes } = costOf(operator, { dry, dimensions, usual });
    const room = Math.floor(HEAT_MEMORY / (MEMORY_PER_BYTE * bytes));
    byClass.set(key, {
      kernel,
      pass,
      shape,
      operator,
      shapeClass,
      flops,
      usual,
      candidates,
      unfit: fits.flatMap(({ variant, reason }) =>
        reason === undefined ? [] : [{ variant, reason }]
      ),
      heatSize: Math.min(HEAT_SIZES.most, Math.max(HEAT_SIZES.least, room)),
    });
  }
  // Short calls come first, because what a short call leaves of its share of the budget goes to the
  // later calls. That matters only on adapters that compute on the CPU, where some calls need their
  // whole share. There, arithmetic predicts the time, even that of RMSNorm and V-scale. Sorted by
  // arithmetic, 2 to 6 % of the pairs of calls in fixtures/lavapipe-*.json and
  // fixtures/swiftshader-*.json are in the wrong order. Sorted by bytes, 28 to 36 % would be.
  return [...byClass.values()].sort((a, b) => a.flops - b.flops);
}

// The cost of a call. This process cannot plan a custom operator, so such a call's cost is unknown.
// With infinitely many bytes, it gets the smallest heats. With 0 flops for every shape, the
// operator's shapes keep their order.
function costOf(
  operator: TunableOperator,
  { dry, dimensions, usual }: {
    readonly dry: Gpu;
    readonly dimensions: Dimensions;
    readonly usual: string;
  },
): Cost {
  if (operator.digest !== undefined) return { flops: 0, bytes: Infinity };
  using plan = operator.plan(dry, dimensions, usual);
  return plan.cost;
}

/**
 * Runs heats in a session's child processes, so a candidate that hangs or crashes does not affect
 * the others.
 *
 * @param session a session that was opened without tuning
 * @param options the seed of the inputs and of the order, and the relative half-width of the
 *   interval of a median that is precise enough
 */
export function sessionHeats(
  session: Pick<MeasuringSession, "measure">,
  { seed, targetHalfWidth }: { readonly seed: number; readonly targetHalfWidth: number },
): RunHeat {
  let id = 0;
  return async ({ kernel, pass, shape, usual }, candidates, { preparation, sampling }) => {
    const results = new Map<string, CandidateResult>();
    const jobs = candidates.map((variant): Job => ({
      id: id++,
      kernel,
      pass,
      shape,
      dtype: "f32",
      variant,
      cache: "hot",
      chosen: variant === usual,
    }));
    await session.measure({
      jobs,
      rule: { targetHalfWidth, minimumSamples: 12, maximumSamples: 96, budget: sampling },
      seed,
      race: true,
      preparation,
      result({ variant }, measurement) {
        results.set(variant, toResult(variant, measurement));
        return Promise.resolve();
      },
      skipped: ({ variant }, reason) =>
        results.set(variant, { variant, status: "skipped", reason, samples: [] }),
    });
    return candidates.flatMap((variant) => results.get(variant) ?? []);
  };
}

function toResult(
  variant: string,
  { status = "ok", reason, samples, stopReason }: Measurement,
): CandidateResult {
  if (status === "ok" && samples.length > 0) {
    return { variant, status: "timed", samples, beaten: stopReason === "beaten" };
  }
  return {
    variant,
    status: status === "ok" ? "failed" : status,
    reason: reason ?? "the clock gave no times",
    samples: [],
  };
}
