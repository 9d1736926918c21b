import { vendorName } from "../../src/gpu/gpu_info.ts";
import { assertEquals } from "../support/assert/assert.ts";

Deno.test("vendorName() turns PCI numbers into names and leaves names and unknown numbers", () => {
  assertEquals(["4318", "4098", "32902", "65541", "6880"].map(vendorName), [
    "nvidia",
    "amd",
    "intel",
    "mesa",
    "google",
  ]);
  assertEquals(["Apple", "12345", ""].map(vendorName), ["apple", "12345", ""]);
});
