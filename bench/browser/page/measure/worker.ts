/** Measures in a Worker; `../worker/child.ts` is the page's end of the connection. */
import type { Gpu } from "../../../../src/gpu/gpu.ts";
import type { OpenGpuOptions } from "../../../../src/gpu/open_gpu_options.ts";
import { openBrowserGpu } from "../../../../src/gpu/open_browser_gpu.ts";
import type { ChildRequest } from "../../../../src/measure/child/protocol.ts";
import { serve } from "../../../../src/measure/child/server.ts";
import { createWorkload } from "../../../../src/measure/workloads.ts";
import { workerScope } from "../worker_scope.ts";

/** The waits in ms, one before each further request for a GPU. */
const DELAYS = [500, 2000, 6000];

// Opens a GPU that may have been lost. Requests it several times, because a browser takes a while
// to restart its GPU process and has no adapter until then.
async function reopen(options: OpenGpuOptions): Promise<Gpu> {
  for (const delay of DELAYS) {
    try {
      return await openBrowserGpu(options);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }
  return await openBrowserGpu(options);
}

/**
 * Serves the page's requests until one tells this Worker to stop.
 *
 * @param again whether this Worker replaces an earlier one, whose GPU may have been lost
 * @returns a function that receives the messages
 */
export function measureHere(again: boolean): (message: unknown) => void {
  const queue: ChildRequest[] = [];
  let wake = (): void => {};
  let ended = false;
  async function* requests(): AsyncGenerator<ChildRequest> {
    while (!ended) {
      const request = queue.shift();
      if (request === undefined) await new Promise<void>((resolve) => wake = resolve);
      else yield request;
    }
  }
  serve({
    requests: requests(),
    write: (line) => workerScope.postMessage(line),
    clocks: { wall: () => performance.now() * 1e6 },
    openGpu: again ? reopen : openBrowserGpu,
    createWorkload,
  }).catch((error: unknown) => {
    workerScope.postMessage(JSON.stringify({ type: "broken", reason: String(error) }));
  }).finally(() => {
    ended = true;
    workerScope.postMessage(undefined); // tells the page that the Worker has ended
  });
  return (message) => {
    queue.push(message as ChildRequest);
    wake();
  };
}
