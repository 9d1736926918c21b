import * as fallback from "./fallback.ts";
import * as assertions from "./assert.ts";

// The two modules must behave alike, because each machine uses only one of them.
for (
  const [name, library] of [["assert.ts", assertions], ["assert/fallback.ts", fallback]] as const
) {
  Deno.test(`${name} accepts what holds`, async () => {
    library.assertEquals({ a: [1, NaN] }, { a: [1, NaN] });
    library.assertNotEquals([1], [2]);
    library.assertStringIncludes("gradient sink", "sink");
    library.assertThrows(() => fail(new RangeError("x is 3")), RangeError, "is 3");
    await library.assertRejects(() => Promise.reject(new TypeError("y")), TypeError, "y");
  });

  Deno.test(`${name} refuses what does not hold`, async () => {
    const refused = [
      () => library.assertEquals([1], [2]),
      () => library.assertNotEquals([1], [1]),
      () => library.assertStringIncludes("gradient", "sink"),
      () => library.assertThrows(() => {}, Error),
      () => library.assertThrows(() => fail(new TypeError("x")), RangeError),
      () => library.assertThrows(() => fail(new RangeError("x is 3")), RangeError, "is 4"),
    ];
    for (const check of refused) {
      let threw = false;
      try {
        check();
      } catch {
        threw = true;
      }
      if (!threw) throw new Error(`passed: ${check}`);
    }
    const rejects = () => library.assertRejects(() => Promise.resolve(), Error);
    if (await rejects().then(() => true, () => false)) throw new Error("passed: assertRejects");
  });
}

function fail(error: Error): never {
  throw error;
}
