import { assertEquals } from "../../support/assert/assert.ts";
import fc from "fast-check";
import { fromColumns, toColumns } from "../../../src/experiments/study/columns.ts";

Deno.test("toColumns() writes each field's name once", () => {
  const rows = [{ a: 1, b: { c: [1, 2] }, d: null }, { a: 2, b: { c: [3, 4] }, d: [5] }];
  assertEquals(toColumns(rows), {
    a: [1, 2],
    b: { c: { "": [[1, 3], [2, 4]] } },
    d: [null, [5]],
  });
});

Deno.test("fromColumns() gives back any rows", () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue({ noUnicodeString: true } as never), { maxLength: 5 }),
      (rows) => {
        const again = fromColumns(JSON.parse(JSON.stringify(toColumns(rows))), rows.length);
        assertEquals(JSON.stringify(again), JSON.stringify(rows));
      },
    ),
  );
  fc.assert(fc.property(
    fc.array(fc.record({ step: fc.integer(), pair: fc.tuple(fc.integer(), fc.integer()) })),
    (rows) => {
      assertEquals(JSON.stringify(fromColumns(toColumns(rows), rows.length)), JSON.stringify(rows));
    },
  ));
});

Deno.test("fromColumns() accepts malformed columns", () => {
  for (
    const columns of [null, 1, { "": 1 }, { a: 1 }, { a: [1] }, { a: { "": [[1]] } }, [1, 2, 3]]
  ) {
    fromColumns(columns, 2);
  }
  assertEquals(fromColumns({ a: [1], b: [1, 2] }, 2), [{ a: 1, b: 1 }, { a: null, b: 2 }]);
});
