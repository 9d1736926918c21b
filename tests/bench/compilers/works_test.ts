/** The list of kernels to compile. */
import {
  callsOf,
  checkedCalls,
  families,
  familyNames,
  listWorks,
  shapeText,
} from "../../../bench/compilers/works.ts";
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { tunableOperators } from "../../../src/ops/tuning/operators.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { info } from "../../support/tuned_choice.ts";

Deno.test("callsOf() replaces usual lengths, and lists each call once", () => {
  const name = (operator: string, lengths: Record<string, number>) =>
    callsOf(operator, { lengths }).map(shapeText);
  assertEquals(name("attentionForward", {}), [
    "T1024 D64",
    "T1024 D128",
    "T4096 D64",
    "T4096 D128",
  ]);
  assertEquals(name("attentionForward", { D: 96, Hkv: 1, M: 7 }), [
    "Hkv1 T1024 D96",
    "Hkv1 T4096 D96",
  ]);
  assertEquals(name("rmsNormBackward", { d: 512, T: 9 }), ["d512"]);
  assertEquals(name("matmul", {}), ["512³", "2048³"]);
  assertEquals(name("matmul", { M: 64 }), ["64×512×512", "64×2048×2048"]);
});

Deno.test("every operator is in a family, with usual lengths and lengths to check", () => {
  assertEquals(Object.values(families).flat().sort(), [...tunableOperators.keys()].sort());
  for (const [operator, { dimensionNames }] of tunableOperators) {
    const needed = dimensionNames.filter((name) => !name.startsWith("transpose"));
    for (const selection of [{ lengths: {} }, { lengths: {}, calls: checkedCalls }]) {
      const calls = callsOf(operator, selection);
      assert(calls.length > 0, operator);
      for (const call of calls) {
        const names = Object.keys(call).filter((name) => !/^(transpose|sink)/.test(name));
        assertEquals(names, needed, operator);
      }
    }
  }
});

Deno.test("checkedCalls has long and short heads, groups of heads, and lengths that fill no tile", () => {
  const attention = checkedCalls.attention!;
  for (const D of [32, 64, 96, 128, 256]) {
    assert(attention.some((call) => call.D === D && call.Hq === 8 * call.Hkv!), `D ${D}`);
    assert(attention.some((call) => call.D === D && call.T! % 2 === 1), `D ${D}`);
    assert(attention.some((call) => call.D === D && call.sink === 1), `D ${D}`);
  }
  assert(checkedCalls.matmul!.some(({ M, N, K }) => [M, N, K].every((length) => length! % 4 > 0)));
});

Deno.test("listWorks() lists the kernels of a learned sink if a call has one", () => {
  const call = { B: 1, Hq: 8, Hkv: 8, T: 64, D: 64 };
  const works = listWorks(createDryGpu(info), {
    kernels: ["attention"],
    variants: "chosen",
    lengths: {},
    calls: { attention: [call, { ...call, sink: 1 }] },
  });
  const forward = works.filter(({ operator }) => operator === "attentionForward");
  assertEquals(forward.map(({ shape, code }) => [shape, code.includes("sinkLogit")]), [
    ["T64 D64", false],
    ["T64 D64 sink1", true],
  ]);
  assert(
    works.some(({ operator, shape }) => operator === "attentionBackward" && shape.includes("sink")),
  );
});

Deno.test("listWorks() lists the kernels that tuning tries, the f16 ones, and the defaults alone", () => {
  const list = (variants: "all" | "chosen" | readonly string[], lengths = {}) =>
    listWorks(createDryGpu({ ...info, features: [...info.features, "shader-f16"] }), {
      kernels: familyNames,
      variants,
      lengths,
    });
  const all = list("all");
  assert(all.every(({ code, file }) => code.includes("fn main") && file.includes(".wgsl")));
  const names = new Set(all.map(({ variant }) => variant));
  for (const name of ["tiled-128", "tiled-128-f16", "portable", "adamW"]) {
    assert(names.has(name), name);
  }
  assert(!names.has("barrier-free"), "a kernel for the CPU on hardware");
  const chosen = list("chosen");
  assert(chosen.length > 0 && chosen.every((work) => work.chosen));
  assertEquals(chosen, all.filter((work) => work.chosen));
  // A variant for CPUs is compiled too if it is named.
  const named = list(["barrier-free"]).filter(({ operator }) => operator !== "model");
  assertEquals([...new Set(named.map(({ variant }) => variant))], ["barrier-free"]);
});
