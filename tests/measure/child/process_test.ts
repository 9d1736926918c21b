import { MeasuringChild } from "../../../src/measure/child/process.ts";
import { assertEquals } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("run");

test("MeasuringChild shows a notice that arrives in two parts, and nothing else, on stderr", async () => {
  const parts = ["a driver's line\ngradsi", "nk: fetching\nmore\ngradsink: the end"];
  const script = `for (const part of ${JSON.stringify(parts)}) {
    await Deno.stderr.write(new TextEncoder().encode(part));
    await new Promise((done) => setTimeout(done, 200));
  }`;
  const shown: unknown[] = [];
  const { error } = console;
  console.error = (text: unknown) => shown.push(text);
  try {
    const child = new MeasuringChild({ command: Deno.execPath(), args: ["eval", script] });
    assertEquals((await child.next(60_000)).type, "ended");
    await child.kill();
  } finally {
    console.error = error;
  }
  assertEquals(shown, ["gradsink: fetching", "gradsink: the end"]);
});
