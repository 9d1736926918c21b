import { sha256 } from "../src/sha256.ts";
import { assertEquals } from "./support/assert/assert.ts";

Deno.test("sha256() computes the example of FIPS 180-4", async () => {
  assertEquals(
    await sha256(new TextEncoder().encode("abc")),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});
