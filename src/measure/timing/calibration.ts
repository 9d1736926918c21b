/**
 * A GPU clock's tick length and resolution, inferred from timestamps because WebGPU reports
 * neither. WebGPU says that timestamps are nanoseconds, but implementations hand out raw ticks,
 * round to steps of 65,536 ns or 100 µs, or count in steps that are no whole number of nanoseconds.
 */

/** A GPU time known to lie between two host times. */
export interface ClockAnchor {
  /** The GPU's clock, in ticks. */
  readonly ticks: number;
  /** Host time in ns, read before the work was submitted. */
  readonly before: number;
  /** Host time in ns, read after the work had finished. */
  readonly after: number;
}

/** The length of a tick. */
export interface TickLength {
  /** Exactly 1 where the observations allow it. */
  readonly nanosecondsPerTick: number;
  /** Half the width of what the observations allow, relative. */
  readonly calibrationError: number;
}

/**
 * Bounds the length of a tick by pairs of anchors: the work of the first lies between its two host
 * times and that of the second between its own, so the ticks between them took at least
 * `second.before − first.after` and at most `second.after − first.before`. Every pair bounds it and
 * all must agree; nothing is averaged, so a busy host makes the bounds wider but never wrong.
 *
 * @param anchors at least two, in order of time, best far apart compared with the time of one
 *   submission
 * @returns the length of a tick, or undefined if the GPU's clock does not run evenly with the
 *   host's
 * @throws {RangeError} for fewer than two anchors
 */
export function calibrateTicks(anchors: readonly ClockAnchor[]): TickLength | undefined {
  if (anchors.length < 2) {
    throw new RangeError(`calibrateTicks: ${anchors.length} anchors, wanted at least 2`);
  }
  let least = 0;
  let most = Infinity;
  anchors.forEach((second, j) => {
    for (const first of anchors.slice(0, j)) {
      const ticks = second.ticks - first.ticks;
      const shortest = second.before - first.after;
      if (shortest <= 0) continue; // too close together to tell anything
      if (!(ticks > 0)) {
        most = 0; // a clock that stands still or runs backwards
        continue;
      }
      least = Math.max(least, shortest / ticks);
      most = Math.min(most, (second.after - first.before) / ticks);
    }
  });
  if (!(least > 0 && most >= least && Number.isFinite(most))) return undefined;
  const middle = (least + most) / 2;
  const error = Math.min(1, (most - least) / 2 / middle);
  // Clocks that count nanoseconds are the rule: where the bounds allow 1, the deviation is the
  // host's.
  return { nanosecondsPerTick: least <= 1 && most >= 1 ? 1 : middle, calibrationError: error };
}

/**
 * The step of a clock from times that were read on it. If all distances between them are multiples
 * of one number, that is the step. If they are multiples of a number that is not whole, each
 * rounded (a 24 MHz clock told in nanoseconds), that is found too. Where the times show no such
 * pattern, it is 1 tick.
 *
 * @param times at least two different ones, in ticks, whole numbers in any order
 * @returns the step in ticks; undefined if all times are the same
 */
export function observeQuantum(times: readonly number[]): number | undefined {
  const sorted = [...new Set(times)].sort((a, b) => a - b);
  const distances = sorted.slice(1).map((time, i) => time - sorted[i]!);
  if (distances.length === 0) return undefined;
  const common = distances.reduce(greatestCommonDivisor);
  return common > 1 ? common : fractionalStep(distances) ?? 1;
}

function greatestCommonDivisor(a: number, b: number): number {
  while (b > 0) [a, b] = [b, a % b];
  return a;
}

// A rounded distance misses its multiple by up to one tick, so a step of q ticks fits by chance
// with probability 3/q for each distance: the steps tried are at least 12 ticks, and at least 24
// distances must agree.
function fractionalStep(distances: readonly number[]): number | undefined {
  const ascending = distances.toSorted((a, b) => a - b);
  const shortest = ascending[0]!;
  if (distances.length < 24) return undefined;
  for (let count = 1; shortest / count >= 12; count++) {
    // The guess is refined as the distances grow: its error must stay below half a step at each.
    let step = shortest / count;
    let products = 0;
    let squares = 0;
    let fits = true;
    for (const distance of ascending) {
      const multiple = Math.round(distance / step);
      if (Math.abs(distance - multiple * step) > 1 + multiple / Math.sqrt(squares || 1)) {
        fits = false;
        break;
      }
      products += multiple * distance;
      squares += multiple * multiple;
      step = products / squares;
    }
    if (fits && ascending.every((d) => Math.abs(d - Math.round(d / step) * step) <= 1.25)) {
      return step;
    }
  }
  return undefined;
}

/**
 * The step of a host clock: the least positive difference between readings taken in a row.
 *
 * @param clock gives the time in ns
 * @returns the step in ns; 0 if the clock never moved within a million readings
 */
export function observeClockStep(clock: () => number): number {
  let step = Infinity;
  let steps = 0;
  let last = clock();
  for (let reading = 0; reading < 1_000_000 && steps < 50; reading++) {
    const now = clock();
    if (now > last) {
      step = Math.min(step, now - last);
      steps++;
    }
    last = now;
  }
  return Number.isFinite(step) ? step : 0;
}
