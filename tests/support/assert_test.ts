import { assertEquals, assertRejects, assertThrows } from "./assert.ts";
Deno.test("assert works", async () => {
  assertEquals({ a: [1] }, { a: [1] });
  assertThrows(() => { throw new RangeError("x is 3") }, RangeError, "is 3");
  await assertRejects(() => Promise.reject(new TypeError("y")), TypeError, "y");
});
