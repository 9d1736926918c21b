import { Progress, type ProgressState } from "../../../src/cli/shared/progress.ts";
import { assertEquals } from "../../support/assert/assert.ts";

/** What is shown after this many seconds without a terminal, each state a line of its own. */
function lines(states: readonly (ProgressState & { readonly after: number })[]): string[] {
  let text = "";
  let now = 0;
  const progress = new Progress({
    write: (part) => text += part,
    columns: () => undefined,
    now: () => now,
  });
  for (const { after, ...state } of states) {
    now = 1000 * after;
    progress.show(state);
  }
  return text.trimEnd().split("\n");
}

Deno.test("Progress shows the time that a limit leaves, until the pace knows better", () => {
  const state = (after: number, done: number, secondsLeft?: number) => ({
    ...{ after, done, total: 10, text: "at work" },
    ...secondsLeft === undefined ? {} : { secondsLeft },
  });
  assertEquals(lines([state(6, 0, 54), state(20, 1, 40), state(30, 5, 100), state(70, 8, 0)]), [
    "0/10  at work  54 s left",
    "1/10  at work  40 s left", // the pace says 180 s, and most of it was preparation
    "5/10  at work  30 s left", // it will be done before the limit
    "8/10  at work  18 s left", // beyond the limit only the pace is left
  ]);
  // Without a time limit, nothing is known before some work is done.
  assertEquals(lines([state(6, 0), state(20, 1)]), [
    "0/10  at work",
    "1/10  at work  3 min 0 s left",
  ]);
});
