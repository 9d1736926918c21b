import { Progress, type ProgressState } from "../../../src/cli/shared/progress.ts";
import { assertEquals } from "../../support/assert/assert.ts";

/**
 * The lines that Progress prints without a terminal. Each state is shown `after` seconds after the
 * start.
 */
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

Deno.test("Progress shows the time left as told, or as the pace predicts", () => {
  const state = (after: number, done: number, secondsLeft?: number) => ({
    ...{ after, done, total: 10, text: "at work" },
    ...secondsLeft === undefined ? {} : { secondsLeft },
  });
  const told = [state(6, 0, 54), state(20, 1, 40), state(30, 5, 100.4), state(70, 10, 12)];
  assertEquals(lines([...told, state(90, 0, Infinity)]), [
    "0/10  at work  54 s left",
    "1/10  at work  40 s left",
    "5/10  at work  1 min 40 s left",
    "10/10  at work  12 s left", // other work may follow the last item
    "0/10  at work",
  ]);
  // The pace is unknown before the first item.
  assertEquals(lines([state(6, 0), state(20, 1), state(200, 10)]), [
    "0/10  at work",
    "1/10  at work  3 min 0 s left",
    "10/10  at work",
  ]);
});

Deno.test("Progress gives each stage a pace of its own", () => {
  const at = (after: number, done: number, total: number, text: string) => ({
    after,
    done,
    total,
    text,
  });
  assertEquals(
    lines([
      ...[at(10, 5, 10, "read"), at(20, 10, 10, "read")],
      ...[at(30, 1, 20, "layers"), at(39, 10, 20, "layers")],
      ...[at(60, 1, 20, "again"), at(70, 11, 20, "again")],
    ]),
    [
      "5/10  read  10 s left",
      "10/10  read",
      "1/20  layers", // nothing is known of this stage
      "10/20  layers  10 s left",
      "1/20  again",
      "11/20  again  9 s left",
    ],
  );
});
