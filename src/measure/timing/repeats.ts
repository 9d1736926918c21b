/**
 * Chooses how often a plan runs in one span, and how many spans go to the GPU at once. A span is
 * the interval that the clock times. Each span yields one sample; but with a cold cache, several
 * short spans together yield one. See `../sampling/visits.ts` for a span's length,
 * `../sampling/stopping.ts` for the number of samples, `../bench_run.ts` for the bench's limits,
 * and `../rounds.ts` for the number of processes.
 */
import { type GpuTimer, MAXIMUM_SPANS } from "../timing.ts";

/**
 * Finds how often to repeat work in one pass so that the pass lasts long enough.
 *
 * @param once records the work once; the work must have been compiled and run before
 * @param options.timer the timer
 * @param options.span the least time of a pass, in ns
 * @param options.maximum the most repeats
 * @returns the number of repeats, at least 1
 */
export async function chooseRepeats(
  once: (pass: GPUComputePassEncoder) => void,
  { timer, span, maximum }: {
    readonly timer: Pick<GpuTimer, "time">;
    readonly span: number;
    readonly maximum: number;
  },
): Promise<number> {
  let repeats = 1;
  for (let attempt = 0; attempt < 40; attempt++) {
    const { spans } = await timer.time([(pass) => {
      for (let i = 0; i < repeats; i++) once(pass);
    }]);
    const time = spans[0];
    if (time !== undefined && time >= span || repeats >= maximum) break;
    // Grow by a factor of at most 16 per attempt: a short span is mostly overhead, so it says
    // little about the work.
    const wanted = time === undefined ? 16 : Math.min(16, 1.2 * span / time);
    repeats = Math.min(maximum, Math.max(repeats + 1, Math.ceil(repeats * wanted)));
  }
  return repeats;
}

/**
 * The most spans that fit one submission.
 *
 * @param span the time of one span, in ns
 * @param submission about how long a submission may last, in ns
 * @returns at least 1, even if one span lasts longer than `submission`
 */
export function spansPerSubmission(span: number, submission: number): number {
  return Math.max(1, Math.min(MAXIMUM_SPANS, Math.floor(submission / span)));
}
