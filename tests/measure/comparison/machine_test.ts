import { isSameMachine, machineDifferences } from "../../../src/measure/comparison/machine.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { syntheticResultFile } from "../synthetic.ts";

Deno.test("isSameMachine() tells equal machines apart by host identity or label", () => {
  const file = syntheticResultFile();
  const on = (id: string) => ({ ...file, host: { ...file.host, id } });
  assert(isSameMachine(file, file));
  assert(isSameMachine(on("0".repeat(16)), on("0".repeat(16))));
  assert(!isSameMachine(on("0".repeat(16)), on("1".repeat(16))));
  assert(isSameMachine(file, on("1".repeat(16))), "a file of before has no identity");
  const labeled = (label: string) => ({ ...file, label });
  assert(!isSameMachine(labeled("node 1"), labeled("node 2")));
  assert(isSameMachine(labeled("node 1"), file));
});

Deno.test("machineDifferences() names what differs, and both values", () => {
  const file = syntheticResultFile();
  const other = {
    ...file,
    host: { ...file.host, cpu: "another" },
    adapter: { ...file.adapter, vendor: "somebody" },
  };
  assertEquals(machineDifferences(file, file), []);
  assertEquals(machineDifferences(file, other), [
    'GPU vendor: "nobody", not "somebody"',
    'processor: "made up", not "another"',
  ]);
});
