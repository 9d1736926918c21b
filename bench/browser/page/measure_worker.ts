/** A Worker that measures: the other end of `worker_child.ts`. */
import { openBrowserGpu } from "../../../src/gpu/open_browser_gpu.ts";
import type { ChildRequest } from "../../../src/measure/child_protocol.ts";
import { serve } from "../../../src/measure/child_server.ts";
import { createWorkload } from "../../../src/measure/workloads.ts";
import { workerScope } from "./worker_scope.ts";

/**
 * Serves the page's requests until it is told to stop.
 *
 * @returns what takes the messages
 */
export function measureHere(): (message: unknown) => void {
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
    openGpu: openBrowserGpu,
    createWorkload,
  }).catch((error: unknown) => {
    workerScope.postMessage(JSON.stringify({ type: "broken", reason: String(error) }));
  }).finally(() => {
    ended = true;
    workerScope.postMessage(undefined); // it has ended
  });
  return (message) => {
    queue.push(message as ChildRequest);
    wake();
  };
}
