import { studentQuantile, studentTail } from "../../src/statistics/student.ts";
import { normalTail } from "../../src/statistics/significance.ts";
import { assertEquals } from "../support/assert/assert.ts";
import { near } from "../support/assert/near.ts";

Deno.test("studentTail() agrees with closed forms and with SciPy far out", () => {
  // With one degree of freedom, Student's distribution is Cauchy's. With two, it has a closed form
  // with a root.
  for (const t of [0.1, 1, 3, 50, 1e4]) {
    near(studentTail(t, 1), Math.atan(1 / t) / Math.PI, 1e-10);
    near(studentTail(t, 2), 1 / (2 + t * t + t * Math.sqrt(2 + t * t)), 1e-10);
  }
  near(studentTail(7.2, 4), 0.0009860682933760228);
  near(studentTail(2, Infinity), normalTail(2));
  assertEquals(studentTail(0, 5), 0.5);
  near(studentTail(-1, 3), 1 - studentTail(1, 3));
});

Deno.test("studentQuantile() is the inverse of the tail, and has equal bits for equal arguments", () => {
  near(studentQuantile(0.0005, 7.5), 5.207725655800546);
  near(studentQuantile(0.025, 4), 2.7764451051977987);
  near(studentQuantile(0.025, Infinity), 1.959963984540054);
  for (const df of [0.7, 2, 3.3, 40, 1e6]) {
    for (const tail of [0.4, 0.01, 1e-6]) near(studentTail(studentQuantile(tail, df), df), tail);
  }
  assertEquals(studentQuantile(0.01, 2.5), studentQuantile(0.01, 2.5));
});
