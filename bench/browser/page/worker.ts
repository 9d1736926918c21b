/**
 * The page's Worker, in one of three roles: it measures, compares files, or computes the numbers of
 * the theory's pictures. The first message names the role. Then the Worker loads the role's code.
 */
import { type ToWorker, workerScope } from "./worker_scope.ts";

const waiting: unknown[] = [];
let handle = (message: unknown): void => void waiting.push(message);

async function start({ role, again = false }: ToWorker): Promise<void> {
  if (role === "measure") {
    const { measureHere } = await import("./measure/worker.ts");
    handle = measureHere(again);
  } else if (role === "compare") {
    const { compareHere } = await import("./compare/worker.ts");
    handle = compareHere();
  } else {
    const { computeTheoryHere } = await import("./theory/worker.ts");
    handle = computeTheoryHere();
  }
  for (const message of waiting) handle(message);
}

let started = false;
workerScope.addEventListener("message", ({ data }) => {
  if (started) return handle(data);
  started = true;
  start(data as ToWorker).catch((error: unknown) => {
    // Thrown outside the promise, so that the page gets the Worker's `error` event.
    setTimeout(() => {
      throw error;
    });
  });
});
