/** The Worker's side of `calls.ts`: answers the page's questions. */
import { workerScope } from "../worker_scope.ts";

/**
 * Answers the page's questions, one after the other.
 *
 * @returns a function that receives the messages
 */
export function answerWith(
  answer: (question: never) => unknown,
): (message: unknown) => void {
  let last = Promise.resolve();
  return (message) => {
    const { call, question } = message as { call: number; question: never };
    last = last.then(async () => {
      try {
        workerScope.postMessage({ call, value: await answer(question) });
      } catch (error) {
        workerScope.postMessage({
          call,
          error: error instanceof Error ? error.message : String(error),
        });
      }
    });
  };
}
