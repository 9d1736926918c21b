/**
 * Lists the jobs that a selection of operators, shapes and variants asks for, and groups them into
 * batches, which are sampled together.
 */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import type { CacheState, Measurement } from "./result_file.ts";
import type { GridName, PassName, Shape } from "./workloads/operator.ts";
import { type OperatorName, operatorNamed, passesOf, passNamed } from "./workloads/operators.ts";
import { shapeNamed, shapeOfLengths, shapesOf } from "./workloads/shapes.ts";
import {
  namedVariantsOf,
  numberFormatOf,
  type VariantQuestion,
  variantsOf,
} from "./workloads/variants.ts";

/** One measurement to make. */
export interface Job {
  /** Unique within a run. */
  readonly id: number;
  readonly kernel: OperatorName;
  readonly pass: PassName;
  readonly shape: Shape;
  readonly dtype: string;
  readonly variant: string;
  readonly cache: CacheState;
  /** Whether `variant` is the default one. */
  readonly chosen: boolean;
  /** Whether `variant` is the default one because tuning chose it. */
  readonly tuned?: boolean;
}

/** Describes a job by the fields of a result file's measurement, in their order. */
export function describeJob(
  { kernel, pass, shape, dtype, variant, chosen, tuned }: Job,
): Pick<
  Measurement,
  "kernel" | "operatorDigest" | "pass" | "shape" | "dtype" | "variant" | "chosen" | "tuning"
> {
  const { digest } = operatorNamed(kernel);
  return {
    kernel,
    ...digest === undefined ? {} : { operatorDigest: digest },
    pass,
    shape: shape.dimensions,
    dtype,
    variant,
    chosen,
    tuning: tuned === true ? { tuned: true } : {},
  };
}

/** The options of jobs to make. */
export interface JobSelection {
  readonly kernels: readonly OperatorName[];
  readonly passes: readonly PassName[];
  /**
   * `quick`, `default` or `full`, or a list of shapes, each given by its name or by its lengths. An
   * operator that lacks some of the shapes is measured on those that it has.
   */
  readonly shapes: GridName | readonly string[];
  readonly dtypes: readonly string[];
  readonly caches: readonly CacheState[];
  /**
   * `chosen`: the default variant; `all`: every variant that can be a default; or a list of the
   * variants' names, which can include variants that round to f16.
   */
  readonly variants: "chosen" | "all" | readonly string[];
}

export type Work = VariantQuestion;

/** Facts about work on an adapter. */
export interface AdapterChoice {
  /** The default variant. */
  readonly chosen: string;
  /** Whether tuning chose the default variant. */
  readonly tuned: boolean;
  /** Reasons why variants cannot run on this adapter, by the variants' names. */
  readonly unfit?: Readonly<Record<string, string>>;
  /** The names of all variants; empty if the measuring process lacks the operator or the pass. */
  readonly known?: readonly string[];
}

/**
 * The most operators in a batch; an operator counts once for each pass, shape and number format. A
 * batch's jobs are sampled in random order, so their data are in GPU memory together. Four
 * operators are forms of attention, which people compare: plain, two with V-scale, and one with
 * learned sinks.
 */
const BATCH = 4;

/**
 * Lists the operators, passes and shapes of a selection, in the order of the tables.
 *
 * @param options.software whether the adapter computes on the CPU
 */
export function listWork(
  selection: JobSelection,
  { software }: { readonly software: boolean },
): Work[] {
  return selection.kernels.flatMap((kernel) =>
    shapesFor(kernel, { shapes: selection.shapes, software }).flatMap((shape) =>
      selection.passes.filter((pass) => passesOf(kernel).includes(pass))
        .map((pass) => ({ kernel, pass, shape }))
    )
  );
}

/**
 * Lists all jobs of a selection.
 *
 * @param work the selection's operators, passes and shapes, each with its default variant and the
 *   variants that the adapter cannot run
 * @returns the jobs, each once, numbered from 0, in the order of `work`
 */
export function listJobs(
  selection: JobSelection,
  work: readonly (Work & AdapterChoice)[],
): Job[] {
  const { variants: wanted, dtypes, caches } = selection;
  const jobs: Job[] = [];
  const keys = new Set<string>();
  for (const { kernel, pass, shape, chosen, tuned, unfit = {} } of work) {
    const names = wanted === "chosen"
      ? [chosen]
      : wanted === "all"
      ? variantsOf(kernel, pass)
      : [...variantsOf(kernel, pass), ...namedVariantsOf(kernel, pass)]
        .filter((name) => wanted.includes(name) && !(name in unfit));
    for (const variant of names) {
      const dtype = numberFormatOf(kernel, pass, variant);
      if (!dtypes.includes(dtype)) continue;
      for (const cache of caches) {
        const own = variant === chosen;
        const job = {
          ...{ id: jobs.length, kernel, pass, shape, dtype, variant, cache, chosen: own },
          ...own && tuned ? { tuned } : {},
        };
        // A shape may be requested both by its name and by its lengths, so a job may come twice.
        const key = jobKey(job);
        if (!keys.has(key)) jobs.push(job);
        keys.add(key);
      }
    }
  }
  return jobs;
}

function shapesFor(
  kernel: OperatorName,
  { shapes, software }: { readonly shapes: JobSelection["shapes"]; readonly software: boolean },
): readonly Shape[] {
  if (typeof shapes === "string") return shapesOf(kernel, { grid: shapes, software });
  const known = [true, false]
    .flatMap((software) => shapesOf(kernel, { grid: "full", software })).map(({ name }) => name);
  return shapes.flatMap((name) =>
    known.includes(name) ? [shapeNamed(kernel, name)] : shapeOfLengths(kernel, name) ?? []
  );
}

/**
 * Puts jobs into batches in random order. Jobs with the same operator of `src/ops`, the same shape
 * and the same number format are in one batch, because people compare them. They may differ in
 * variant, in cache state, or in form, such as attention with and without learned sinks.
 *
 * @param jobs the remaining jobs
 * @param seed equal seeds give equal batches
 */
export function batchJobs(jobs: readonly Job[], seed: number): Job[][] {
  const groups = new Map<string, Job[]>();
  for (const job of jobs) {
    const { kernel, pass, shape, dtype } = job;
    const key = JSON.stringify([passNamed(kernel, pass).operator, shape.dimensions, dtype]);
    groups.set(key, [...groups.get(key) ?? [], job]);
  }
  const order = [...groups.values()];
  const generator = xoroshiro128plus(seed);
  for (let i = order.length - 1; i > 0; i--) {
    const j = uniformInt(generator, 0, i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  const kernels = (group: readonly Job[]) => new Set(group.map(({ kernel }) => kernel)).size;
  const batches: Job[][] = [];
  let taken = BATCH;
  for (const group of order) {
    const size = kernels(group);
    if (taken + size > BATCH) {
      batches.push([]);
      taken = 0;
    }
    batches.at(-1)!.push(...group);
    taken += size;
  }
  return batches;
}

/** Identifies a job's work: equal to {@linkcode measurementKey} of the job's measurement. */
export function jobKey({ shape: { dimensions }, ...job }: Job): string {
  return keyOf({ ...job, shape: dimensions });
}

/** Identifies a measurement's work in a result file. */
export function measurementKey(measurement: Measurement): string {
  return keyOf(measurement);
}

type Key = Pick<Measurement, "kernel" | "pass" | "dtype" | "variant" | "shape" | "cache">;

function keyOf({ kernel, pass, dtype, variant, shape, cache = "hot" }: Key): string {
  const dimensions = Object.entries(shape).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify([kernel, pass, dtype, variant, cache, dimensions]);
}
