/**
 * Infers the length of a GPU clock's tick and the clock's step from its timestamps, because WebGPU
 * reports neither. By WebGPU's specification, timestamps are in nanoseconds. But implementations
 * return raw ticks, round to steps of 65,536 ns or 100 µs, or count in steps of a fractional number
 * of nanoseconds.
 */

/** A reading of the GPU's clock between two readings of the host's. */
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
  /** Exactly 1 if the observations allow 1, otherwise the middle of the interval they allow. */
  readonly nanosecondsPerTick: number;
  /** Half the width of the interval that the observations allow, as a share of its middle. */
  readonly calibrationError: number;
}

/**
 * Bounds the length of a tick with pairs of anchors. Each anchor's work ran between its two host
 * times, so the ticks between two anchors took at least `second.before − first.after` and at most
 * `second.after − first.before`. All pairs' bounds must agree. Nothing is averaged, so a busy host
 * widens the bounds but never makes them wrong.
 *
 * @param anchors at least two, in order of time, and preferably far apart compared with one
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
      if (shortest <= 0) continue; // Too close together to bound anything.
      if (!(ticks > 0)) {
        most = 0; // The clock stands still or runs backwards.
        continue;
      }
      least = Math.max(least, shortest / ticks);
      most = Math.min(most, (second.after - first.before) / ticks);
    }
  });
  if (!(least > 0 && most >= least && Number.isFinite(most))) return undefined;
  const middle = (least + most) / 2;
  const error = Math.min(1, (most - least) / 2 / middle);
  // Most clocks count nanoseconds: if the bounds allow 1, attribute the deviation to the host.
  return { nanosecondsPerTick: least <= 1 && most >= 1 ? 1 : middle, calibrationError: error };
}

/**
 * Finds a clock's step from its readings: the greatest number of which all distances between
 * readings are multiples. It also finds a fractional step whose multiples were rounded, such as a
 * 24 MHz clock's 41.67 ns in readings of whole nanoseconds. If none fits, the step is 1 tick.
 *
 * @param times the readings, in ticks, as integers in any order
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

// A distance between two rounded readings misses its multiple of the step by up to one tick. So a
// step of q ticks fits a distance if the distance's remainder is −1, 0 or 1. A wrong step does so
// by chance, with probability 3/q. A step must have at least 12 ticks and fit at least 24
// distances, because a wrong step fits that many with a probability of about (3/12)^24 at most.
function fractionalStep(distances: readonly number[]): number | undefined {
  const ascending = distances.toSorted((a, b) => a - b);
  const shortest = ascending[0]!;
  if (distances.length < 24) return undefined;
  for (let count = 1; shortest / count >= 12; count++) {
    // Refine the step with ever longer distances. Each must be close to a multiple of the present
    // step.
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
 * Finds a host clock's step: the least positive difference between successive readings.
 *
 * @param clock returns the time in ns
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
