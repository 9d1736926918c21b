/** From what is wanted to jobs, and from jobs to batches. */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import type { Job } from "./child_protocol.ts";
import type { CacheState, Measurement } from "./result_file.ts";
import {
  type GridName,
  type KernelName,
  kernelPasses,
  type PassName,
  type Shape,
  shapeNamed,
  shapesOf,
} from "./shapes.ts";

/** What to make jobs for. */
export interface JobSelection {
  readonly kernels: readonly KernelName[];
  readonly passes: readonly PassName[];
  /** A grid's name, or names of shapes; a kernel that lacks one of these names is measured on the others. */
  readonly shapes: GridName | readonly string[];
  readonly dtypes: readonly string[];
  readonly caches: readonly CacheState[];
  readonly variants: readonly string[];
}

/** Pieces of work measured in random turns; their data is in GPU memory at the same time. */
const BATCH = 4;

/**
 * Lists all jobs of a selection.
 *
 * @param selection what is wanted
 * @param options.software whether the adapter computes on the CPU
 * @returns the jobs, numbered from 0, in the order of the tables
 */
export function listJobs(
  selection: JobSelection,
  { software }: { readonly software: boolean },
): Job[] {
  const jobs: Job[] = [];
  for (const kernel of selection.kernels) {
    for (const shape of shapesFor(kernel, { shapes: selection.shapes, software })) {
      for (const pass of selection.passes.filter((pass) => kernelPasses[kernel].includes(pass))) {
        for (const dtype of selection.dtypes) {
          for (const variant of selection.variants) {
            for (const cache of selection.caches) {
              jobs.push({ id: jobs.length, kernel, pass, shape, dtype, variant, cache });
            }
          }
        }
      }
    }
  }
  return jobs;
}

function shapesFor(
  kernel: KernelName,
  { shapes, software }: { readonly shapes: JobSelection["shapes"]; readonly software: boolean },
): readonly Shape[] {
  if (typeof shapes === "string") return shapesOf(kernel, { grid: shapes, software });
  const known = [true, false]
    .flatMap((software) => shapesOf(kernel, { grid: "full", software })).map(({ name }) => name);
  return shapes.filter((name) => known.includes(name)).map((name) => shapeNamed(kernel, name));
}

/**
 * Puts jobs into batches: in random order, with the variants and cache states of one piece of work, which are
 * what people compare, in the same batch.
 *
 * @param jobs the jobs that are left
 * @param seed equal seeds give equal batches
 */
export function batchJobs(jobs: readonly Job[], seed: number): Job[][] {
  const groups = new Map<string, Job[]>();
  for (const job of jobs) {
    const { kernel, pass, shape, dtype } = job;
    const key = JSON.stringify([kernel, pass, shape.dimensions, dtype]);
    groups.set(key, [...groups.get(key) ?? [], job]);
  }
  const order = [...groups.values()];
  const generator = xoroshiro128plus(seed);
  for (let i = order.length - 1; i > 0; i--) {
    const j = uniformInt(generator, 0, i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return Array.from(
    { length: Math.ceil(order.length / BATCH) },
    (_, i) => order.slice(BATCH * i, BATCH * (i + 1)).flat(),
  );
}

/**
 * Whether a measurement is this job's.
 *
 * @param measurement of a result file
 * @param job of this run
 */
export function isOf(measurement: Measurement, job: Job): boolean {
  const key = (dimensions: Readonly<Record<string, number>>): string =>
    JSON.stringify(Object.entries(dimensions).sort(([a], [b]) => a < b ? -1 : 1));
  return measurement.kernel === job.kernel && measurement.pass === job.pass &&
    measurement.dtype === job.dtype && measurement.variant === job.variant &&
    (measurement.cache ?? "hot") === job.cache &&
    key(measurement.shape) === key(job.shape.dimensions);
}
