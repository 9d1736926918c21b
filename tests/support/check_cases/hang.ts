/**
 * Tells work that hangs from work on a busy machine, where the same work can take many times as
 * long. The process's CPU time tells: work on a busy machine uses little of it but always some, an
 * endless loop uses more than any case needs, and a wait for something that never comes uses none.
 */
import process from "node:process";

/** The clocks of a process, in ms from any origin. */
export interface ProcessClocks {
  readonly wall: () => number;
  /** The CPU time of all threads, including those that run kernels and those of other tests. */
  readonly cpu: () => number;
}

const ownClocks: ProcessClocks = {
  wall: () => performance.now(),
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
};

/**
 * The ms of CPU time and of wall time after which a case counts as endless, and the idle ms after
 * which it counts as waiting forever. The slowest case, whose kernels SwiftShader compiles for a
 * minute, takes a tenth.
 */
const LIMIT = 600_000;
/**
 * A process is idle if it gets a smaller share of CPU time than this. Beside a hundred busy threads
 * per core it still gets about as much.
 */
const IDLE = 0.01;

/** The error of work that hangs. */
export class HangError extends Error {}

/** Parts that tests replace. */
export interface HangOptions {
  readonly clocks?: ProcessClocks;
  /** The ms between two looks at the clocks. Default: 1000. */
  readonly period?: number;
}

/**
 * Waits for work unless it hangs. A call that never returns to the event loop cannot be noticed.
 *
 * @param work the work, such as one case of a property
 * @param options for tests
 * @throws {HangError} after 10 minutes of wall time, and as much CPU time, or 10 minutes in which
 *   the process was idle
 */
export async function unlessHanging(
  work: () => Promise<void>,
  { clocks = ownClocks, period = 1000 }: HangOptions = {},
): Promise<void> {
  const start = { wall: clocks.wall(), cpu: clocks.cpu() };
  let last = start;
  let idle = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setInterval(() => {
      const now = { wall: clocks.wall(), cpu: clocks.cpu() };
      if (now.cpu - last.cpu < IDLE * (now.wall - last.wall)) idle += now.wall - last.wall;
      last = now;
      const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;
      const [wall, cpu] = [now.wall - start.wall, now.cpu - start.cpu];
      if (idle <= LIMIT && Math.min(wall, cpu) <= LIMIT) return;
      reject(
        new HangError(
          `hangs: not done after ${seconds(wall)}, with ${seconds(cpu)} of CPU time and ` +
            `${seconds(idle)} without any`,
        ),
      );
    }, period);
  });
  try {
    await Promise.race([work(), hang]);
  } finally {
    clearInterval(timer);
  }
}
