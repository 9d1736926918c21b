import { specialize } from "../../src/gpu/specialize.ts";
import { assertEquals, assertThrows } from "../support/assert/assert.ts";

const source = [
  "const HEAD_DIM: u32 = 64u; // comment",
  "const SCALE: f32 = 1.0;",
  "const ROLLED: bool = false;",
  "alias Storage = f32;",
  "const HEAD_DIM_HALF: u32 = HEAD_DIM / 2u;",
].join("\n");

Deno.test("specialize() rewrites constants in their own type, and aliases", () => {
  const text = specialize(source, { HEAD_DIM: 128, SCALE: 2, ROLLED: true, Storage: "f16" });
  assertEquals(text.split("\n"), [
    "const HEAD_DIM: u32 = 128u; // comment",
    "const SCALE: f32 = 2.0;",
    "const ROLLED: bool = true;",
    "alias Storage = f16;",
    "const HEAD_DIM_HALF: u32 = HEAD_DIM / 2u;",
  ]);
});

Deno.test("specialize() without changes leaves the source as it is", () => {
  assertEquals(specialize(source, {}), source);
});

Deno.test("specialize() throws for a name that is not declared", () => {
  assertThrows(() => specialize(source, { HEAD: 1 }), TypeError, `"HEAD"`);
  assertThrows(() => specialize(source, { Element: "f16" }), TypeError, "alias Element");
  assertThrows(
    () => specialize("fn f() {\n  const HEAD_DIM: u32 = 1u;\n}", { HEAD_DIM: 2 }),
    TypeError,
  );
});
