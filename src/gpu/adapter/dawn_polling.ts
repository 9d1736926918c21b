/**
 * Keeps a wait for Dawn from occupying a processor core.
 *
 * While anything is pending, npm:webgpu polls Dawn in an endless loop of `setImmediate`. On
 * an adapter that computes on the CPU that loop takes a core away from the kernels.
 */

/** The longest pause between two polls, in ms. A pause delays the end of a wait by at most this. */
const LONGEST_PAUSE = 0.5;

/**
 * A pause is at most this share of the time waited so far, so that a short wait ends with little
 * delay.
 */
const PAUSE_SHARE = 1 / 32;

/**
 * The shortest pause, in ms. The system's timers are no finer, so a shorter one would cost more
 * than it saves.
 */
const SHORTEST_PAUSE = 0.02;

let paced = false;

/**
 * Makes this realm sleep between two polls of Dawn. The pauses get longer as a wait goes on.
 *
 * Dawn's bindings look up `setImmediate` whenever they poll, and offer no other hook. So this
 * function replaces `setImmediate`. The replacement delays Dawn's polls and passes on all other
 * callbacks unchanged. Deno's shortest timer would take 1 to 2 ms, so a delay instead blocks this
 * thread, for at most half a millisecond.
 */
export function paceDawnPolling(): void {
  if (paced) return;
  paced = true;
  const scope = globalThis as unknown as { setImmediate: SetImmediate };
  const { setImmediate } = scope;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let polling = false;
  let waitingSince = 0;

  function setPacedImmediate(callback: Callback, ...given: unknown[]): unknown {
    if (given.length > 0 || !isBinding(callback)) return setImmediate(callback, ...given);
    // If this poll is requested while another poll runs, it continues that poll's wait. Otherwise a
    // new wait begins.
    if (!polling) waitingSince = performance.now();
    return setImmediate(() => {
      // Pause here, not before `setImmediate`. By now the callbacks of the promises that the last
      // poll resolved have run, so the pause does not delay them.
      const pause = pauseAfter(performance.now() - waitingSince);
      if (pause > 0) Atomics.wait(cell, 0, 0, pause);
      polling = true;
      try {
        callback();
      } finally {
        polling = false;
      }
    });
  }

  // Copy setImmediate's properties too: one of them is its promise form, for Node's `promisify`.
  Object.defineProperties(setPacedImmediate, Object.getOwnPropertyDescriptors(setImmediate));
  scope.setImmediate = setPacedImmediate;
}

type Callback = (...given: unknown[]) => void;
type SetImmediate = (callback: Callback, ...given: unknown[]) => unknown;

/** How many ms to sleep before the next poll, if the wait began `waited` ms ago. */
export function pauseAfter(waited: number): number {
  const pause = Math.min(LONGEST_PAUSE, waited * PAUSE_SHARE);
  return pause < SHORTEST_PAUSE ? 0 : pause;
}

// Whether a callback is one of Dawn's poll functions: they are native, so they print no source, and
// they have no name. Bound functions print no source either, but they have a name.
function isBinding(callback: unknown): boolean {
  return typeof callback === "function" && callback.name === "" &&
    /^function \(\) \{ \[native code\] \}$/.test(Function.prototype.toString.call(callback));
}
