/**
 * Notices work that hangs, by the CPU time of the process. Wall time is not enough: on a busy
 * machine, sound work can take many times as long, but it always uses some CPU time. An endless
 * loop uses more than any case needs. A wait for something that never comes uses none.
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
 * The limit in ms. A case counts as endless once both its wall time and its CPU time exceed the
 * limit, and as waiting forever once its idle time does. The slowest case takes a tenth of the
 * limit, because SwiftShader compiles its kernels for a minute.
 */
const LIMIT = 600_000;
/**
 * A process is idle if it uses a smaller share of a core than this. Beside a hundred busy threads
 * per core, a busy process gets about this share.
 */
const IDLE = 0.01;

export class HangError extends Error {}

/** Parts that tests replace. */
export interface HangOptions {
  readonly clocks?: ProcessClocks;
  /** The ms between two looks at the clocks. Default: 1000. */
  readonly period?: number;
}

/**
 * Waits until `work` ends or hangs. Cannot notice a call that never returns to the event loop.
 *
 * @throws {HangError} once both wall time and CPU time exceed 10 minutes, or the process was idle
 *   for more than 10 minutes in total
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
