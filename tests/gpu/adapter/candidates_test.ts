import { type AdapterCandidate, chooseCandidate } from "../../../src/gpu/adapter/candidates.ts";
import { assertEquals, assertThrows } from "../../support/assert/assert.ts";

const gpu = (name: string, vulkan: string): AdapterCandidate => (
  { name, software: false, by: { vulkan } }
);
const list = [
  gpu("NVIDIA GeForce RTX 4090", "10de:2684"),
  gpu("NVIDIA GeForce RTX 4090 D", "10de:2685"),
  gpu("AMD Radeon RX 7900", "1002:744c"),
  gpu("NVIDIA GeForce RTX 4090", "10de:2684"),
];

Deno.test("chooseCandidate() finds an adapter by number, by part of its name in any case, or by whole name", () => {
  const chosen: [string, number][] = [
    ["0", 0],
    ["2", 2],
    ["radeon", 2],
    ["7900", 2],
    ["4090 D", 1],
    // This is the whole name of adapters 0 and 3, and a part of adapter 1's name. A whole name is
    // preferred, and of two equal names the first.
    ["nvidia geforce rtx 4090", 0],
  ];
  for (const [wanted, number] of chosen) {
    assertEquals(chooseCandidate(list, wanted), list[number], wanted);
  }
});

Deno.test("chooseCandidate() lists the adapters if a name fits none, or more than one GPU", () => {
  const refused: [readonly AdapterCandidate[], string, string][] = [
    [list, "arc", 'adapter is "arc", and no GPU\'s name holds this. There are: 0 NVIDIA GeForce'],
    [
      list,
      "4",
      'adapter is "4", and no GPU has this number. There are: 0 NVIDIA GeForce RTX 4090;',
    ],
    [list, "geforce", "several GPUs' names hold this: 0 NVIDIA GeForce RTX 4090; 1 NVIDIA GeForce"],
    [list, "3", "which is the same model as 0, and no runtime can tell the two apart"],
    [[], "0", "There are: none is found"],
  ];
  for (const [candidates, wanted, message] of refused) {
    assertThrows(() => chooseCandidate(candidates, wanted), RangeError, message);
  }
});
