import { parseArguments, UsageError } from "../../../src/cli/shared/arguments.ts";
import {
  budgetSeconds,
  listOf,
  refuseOperands,
  runtime,
  someOf,
  wholeNumber,
} from "../../../src/cli/shared/options.ts";
import { assertEquals, assertThrows } from "../../support/assert/assert.ts";

Deno.test("wholeNumber() and budgetSeconds() accept numbers, and nothing that merely looks like one", () => {
  assertEquals([wholeNumber("seed", "0"), wholeNumber("seed", "-7")], [0, -7]);
  for (const text of ["1.5", "1e3", "", "0x10", "9007199254740993", "NaN"]) {
    const message = `--seed is ${JSON.stringify(text)}, wanted a whole number`;
    assertThrows(() => wholeNumber("seed", text), UsageError, message);
  }
  assertEquals([budgetSeconds("2.5"), budgetSeconds(30)], [2.5, 30]);
  for (const given of ["0", "-1", "soon", "", 0, NaN, 1e7, null, [30], {}]) {
    const message = "wanted a number of seconds above 0, at most 1000000";
    assertThrows(() => budgetSeconds(given), UsageError, message);
  }
});

Deno.test("listOf() and someOf() accept known names in any order, each once", () => {
  const known = ["forward", "backward"] as const;
  const chosen = (text?: string) => someOf("passes", { given: listOf("passes", text), known });
  assertEquals(chosen(), known);
  assertEquals(chosen("backward, forward,backward"), known);
  assertEquals(chosen("backward"), ["backward"]);
  assertThrows(() => chosen("forward,"), UsageError, '--passes is "forward,": an empty name');
  const message = '--passes is "foward", wanted forward, backward (did you mean forward?)';
  assertThrows(() => chosen("foward"), UsageError, message);
  assertThrows(() => someOf("passes", { given: [7], known }), UsageError, '--passes is "7"');
});

Deno.test("refuseOperands() names the first one", () => {
  refuseOperands([], "bench");
  const message = 'unexpected "a": bench takes options only';
  assertThrows(() => refuseOperands(["a", "b"], "bench"), UsageError, message);
});

Deno.test("parseArguments() types a value by its choices, and as present if it has a default", () => {
  const { values } = parseArguments([], { options: { runtime } });
  const chosen: "deno" | "dawn" = values.runtime; // checks the type
  assertEquals(chosen, "deno");
});
