import { assert, assertEquals, assertThrows } from "../../support/assert/assert.ts";
import { modelShapes } from "../../../src/measure/workloads/models.ts";
import type { GridName, Shape } from "../../../src/measure/workloads/operator.ts";
import { type OperatorName, operatorNames } from "../../../src/measure/workloads/operators.ts";
import { shapeNamed, shapeOfLengths, shapesOf } from "../../../src/measure/workloads/shapes.ts";

const grids: readonly GridName[] = ["quick", "default", "full"];

Deno.test("shapesOf() gives grids that contain each other, without duplicate shapes", () => {
  for (const kernel of operatorNames) {
    for (const software of [false, true]) {
      const [quick, usual, full] = grids.map((grid) => shapesOf(kernel, { grid, software }));
      assert(quick!.length >= 1 && usual!.length > quick!.length && full!.length > usual!.length);
      assertEquals(shapesOf(kernel, { software }), usual);
      const names = full!.map(({ name }) => name);
      const dimensions = full!.map((shape) => JSON.stringify(shape.dimensions));
      assertEquals(new Set(names).size, names.length);
      assertEquals(new Set(dimensions).size, names.length);
      for (const { name } of [...quick!, ...usual!]) assert(names.includes(name), name);
    }
  }
});

Deno.test("shapesOf() keeps a model's head dimension and group size in its slices", () => {
  let slices = 0;
  for (const shape of shapesOf("attention", { grid: "full", software: true })) {
    const model = Object.entries(modelShapes).filter(([name]) => shape.name.startsWith(name)).at(
      -1,
    )!;
    const { queryHeads, keyValueHeads, headDim } = model[1];
    const { Hq, Hkv, D, T } = shape.dimensions;
    assertEquals(D, headDim);
    assertEquals(Hq! / Hkv!, queryHeads / keyValueHeads);
    assert(Number.isInteger(Hkv) && Hkv! >= 1);
    if (Hq! < queryHeads) assert(shape.name.includes(`-h${Hq}`), shape.name);
    if (T! < model[1].sequenceLength) assert(shape.name.includes(`-t${T}`), shape.name);
    slices++;
  }
  assert(slices > 5);
});

Deno.test("shapesOf() has products of odd lengths, each beside a neighbor without odd lengths", () => {
  const shapes = shapesOf("matmul", { grid: "full", software: true });
  const lengths = ({ dimensions: { M, N, K } }: Shape) => [M!, N!, K!];
  const isOdd = (shape: Shape) => lengths(shape).some((length) => length > 1 && length % 2 === 1);
  const layout = ({ dimensions: { B, transposeLeft, transposeRight } }: Shape) =>
    [B, transposeLeft, transposeRight].join();
  const odd = shapes.filter(isOdd);
  for (const shape of odd) {
    const neighbors = shapes.filter((other) =>
      !isOdd(other) && layout(other) === layout(shape) &&
      lengths(other).every((length, i) => Math.abs(length - lengths(shape)[i]!) <= 1)
    );
    assert(neighbors.length > 0, `${shape.name} has no neighbor`);
  }
  const transpositions = new Set(odd.map(layout));
  assert(odd.length > 5 && transpositions.size > 3, `${odd.length} odd products`);
});

Deno.test("shapeNamed() finds every shape, and whole layers also on software adapters", () => {
  for (const kernel of operatorNames) {
    for (const software of [false, true]) {
      for (const shape of shapesOf(kernel, { grid: "full", software })) {
        assertEquals(shapeNamed(kernel, shape.name), shape);
      }
    }
  }
  assertEquals(shapeNamed("attention", "llama-3.2-1b").dimensions, {
    B: 1,
    Hq: 32,
    Hkv: 8,
    T: 2048,
    D: 64,
  });
  assertEquals(shapeNamed("rms-norm", "paper-1b").dimensions, { rows: 2048, d: 2048 });
});

Deno.test("shapesOf() and shapeNamed() throw for unknown names, listing the known ones", () => {
  const software = false;
  assertThrows(() => shapesOf("atention" as OperatorName, { software }), RangeError, "rms-norm");
  assertThrows(
    () => shapesOf("attention", { grid: "huge" as GridName, software }),
    RangeError,
    'grid is "huge", wanted one of quick, default, full',
  );
  assertThrows(() => shapeNamed("attention", "llama-9"), RangeError, "llama-3.2-1b");
});

Deno.test("shapeOfLengths() finds every known shape by its lengths, and takes H for the count of all heads", () => {
  for (const kernel of operatorNames) {
    for (const { dimensions } of shapesOf(kernel, { grid: "full", software: false })) {
      const text = Object.entries(dimensions).map(([name, length]) => `${name}${length}`).join();
      assertEquals(shapeOfLengths(kernel, text)?.dimensions, dimensions, text);
    }
  }
  assertEquals(shapeOfLengths("attention", "H8,T1024,D64"), {
    name: "B=1 Hq=8 Hkv=8 T=1024 D=64",
    dimensions: { B: 1, Hq: 8, Hkv: 8, T: 1024, D: 64 },
  });
  assertEquals(shapeOfLengths("attention", "Hq8 Hkv2 T=9 D4")?.dimensions.Hkv, 2);
  // A resumed run finds the shape by this name.
  const shape = shapeOfLengths("matmul", "M3,N4,K5,transposeRight1")!;
  assertEquals(shapeOfLengths("matmul", shape.name), shape);
});

Deno.test("shapeOfLengths() knows the lengths of its own operator only", () => {
  const wrong = ["", "T1024", "B1,H8,T1024,D64,x3", "B1,H8,T0,D64", "H8,H8,T9,D4", "B-1,H1,T1,D4"];
  for (const text of [...wrong, "rows512,d64", "quick", "llama-3.2-1b"]) {
    assertEquals(shapeOfLengths("attention", text), undefined, text);
  }
  assertEquals(shapeOfLengths("rms-norm", "rows512,d64")?.dimensions, { rows: 512, d: 64 });
  assertEquals(shapeOfLengths("rms-norm", "B1,H8,T1024,D64"), undefined);
});
