import { createDryGpu, recordPlan } from "../../../src/gpu/dry_gpu.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import type { GpuInfo } from "../../../src/gpu/gpu_info.ts";
import { tunableOperators } from "../../../src/ops/tuning/operators.ts";
import {
  adapterIdentity,
  applyTuning,
  candidatesHash,
  formatTuning,
  isCurrent,
  parseTuning,
  tuningFileName,
} from "../../../src/ops/tuning/choices.ts";
import { assert, assertEquals, assertNotEquals } from "../../support/assert/assert.ts";
import {
  chosenBy,
  identity,
  info,
  sampleLengths,
  tunedChoice,
  tunedDimensions,
  tunedOperator,
} from "../../support/tuned_choice.ts";

Deno.test("parseTuning() reads what formatTuning() writes, and applyTuning() chooses it", async () => {
  const written = await tunedChoice();
  const text = formatTuning(identity, [written]);
  assertEquals(parseTuning(text, identity), [written]);
  assertEquals([...await chosenBy(text)], [[
    `rmsNormForward ${tunedOperator.shapeClass(tunedDimensions)}`,
    "vectorised",
  ]]);
  using gpu = createDryGpu(info);
  assertEquals(tunedOperator.choose(gpu, tunedDimensions), "subgroup");
  await applyTuning(gpu, [written]);
  assertEquals(tunedOperator.choose(gpu, tunedDimensions), "vectorised");
  // The first shape is in the shape class of the tuned choice, the second in another class.
  assertEquals(tunedOperator.choose(gpu, { rows: 3000, d: 1020 }), "vectorised");
  assertEquals(tunedOperator.choose(gpu, { rows: 4096, d: 1023 }), "subgroup");
});

Deno.test("applyTuning() uses the last of several choices for the same calls", async () => {
  const text = formatTuning(identity, [
    await tunedChoice(),
    await tunedChoice({ variant: "portable" }),
  ]);
  assertEquals([...(await chosenBy(text)).values()], ["portable"]);
});

Deno.test("parseTuning() skips stale, damaged and hostile files", async () => {
  const good = formatTuning(identity, [await tunedChoice()]);
  assertEquals((await chosenBy(good)).size, 1);
  const edit = (change: (file: Record<string, unknown>) => void): string => {
    const file = JSON.parse(good) as Record<string, unknown>;
    change(file);
    return JSON.stringify(file);
  };
  const other = adapterIdentity({ ...info, description: "another" }, "2.0.0");
  const files: [string, string][] = [
    ["nothing", ""],
    ["no JSON", "{"],
    ["cut off", good.slice(0, -20)],
    ["null", "null"],
    ["a list", "[]"],
    ["a number", "7"],
    ["another schema", good.replace("tuning/1", "tuning/2")],
    ["another adapter", formatTuning(other, [await tunedChoice()])],
    [
      "another version of the runtime",
      formatTuning(adapterIdentity(info, "2.0.1"), [await tunedChoice()]),
    ],
    ["no adapter", edit((file) => delete file.adapter)],
    ["an adapter with more to it", edit((file) => Object.assign(file.adapter!, { more: "" }))],
    [
      "an adapter by prototype",
      good.replace('"adapter":', '"adapter": {"__proto__":')
        .replace('"choices"', '}, "choices"'),
    ],
    ["choices that are no list", edit((file) => file.choices = { length: 1 })],
    [
      "too many choices",
      edit((file) => file.choices = new Array(600).fill((file.choices as unknown[])[0])),
    ],
    ["too much text", `${good}${" ".repeat(300_000)}`],
    ["deep nesting", "[".repeat(100_000)],
  ];
  for (const [name, text] of files) assertEquals((await chosenBy(text)).size, 0, name);
});

Deno.test("applyTuning() skips invalid choices, and uses the others", async () => {
  const good = await tunedChoice();
  const wrong: [string, unknown][] = [
    ["null", null],
    ["a text", "rmsNormForward"],
    ["an unknown operator", { ...good, operator: "constructor" }],
    ["a variant of another operator", { ...good, variant: "tiled" }],
    ["an unknown variant", { ...good, variant: "__proto__" }],
    ["a variant that is no text", { ...good, variant: ["vectorised"] }],
    ["another hash", { ...good, candidatesHash: "0".repeat(64) }],
    ["no hash", { ...good, candidatesHash: undefined }],
    ["another number format", { ...good, dtype: "f16" }],
    ["another class than the lengths'", { ...good, shapeClass: "vector d<=4 rows<=4" }],
    ["fields by prototype only", JSON.parse(`{"__proto__": ${JSON.stringify(good)}}`)],
    ["a missing length", { ...good, dimensions: { rows: 4096 } }],
    ["a length too many", { ...good, dimensions: { ...tunedDimensions, T: 1 } }],
    ["a length that is zero", { ...good, dimensions: { rows: 0, d: 1024 } }],
    ["a length that is no number", { ...good, dimensions: { rows: "4096", d: 1024 } }],
    ["lengths by prototype", { ...good, dimensions: JSON.parse('{"__proto__":1,"rows":1}') }],
    ["a length that no memory holds", { ...good, dimensions: { rows: 2 ** 24, d: 2 ** 24 } }],
    [
      "heads that do not divide",
      {
        ...good,
        operator: "attentionForward",
        variant: "portable",
        shapeClass: "D=64 T<=256",
        dimensions: { B: 1, Hq: 3, Hkv: 2, T: 256, D: 64 },
      },
    ],
  ];
  for (const [name, entry] of wrong) {
    const file = { schema: "gradsink-tuning/1", adapter: identity, choices: [entry] };
    assertEquals((await chosenBy(JSON.stringify(file))).size, 0, name);
    const both = JSON.stringify({ ...file, choices: [entry, good, entry] });
    assertEquals([...await chosenBy(both)].length, 1, name);
  }
  assertEquals(Object.hasOwn(Object.prototype, "variant"), false);
});

Deno.test("isCurrent() is false once any candidate's kernel or dispatch differs", async () => {
  const good = await tunedChoice();
  assert(await isCurrent(info, good));
  // The first change is another subgroup size. The second removes the features that a candidate
  // would use. The third makes the adapter a CPU's.
  const changed: GpuInfo[] = [
    { ...info, subgroupSize: { minimum: 16, maximum: 16 } },
    { ...info, features: [] },
    { ...info, software: true },
  ];
  for (const other of changed) assertEquals(await isCurrent(other, good), false);
});

Deno.test("candidatesHash() differs between lengths and between operators, and is the same each time", async () => {
  const hashes = new Set<string>();
  for (const [name, each] of tunableOperators) {
    const hash = await candidatesHash(info, each, sampleLengths(name));
    assertEquals(hash, await candidatesHash(info, each, sampleLengths(name)));
    hashes.add(hash);
  }
  hashes.add(await candidatesHash(info, tunedOperator, { rows: 65, d: 96 }));
  assertEquals(hashes.size, tunableOperators.size + 1);
});

Deno.test("tuningFileName() differs with the adapter, the driver's description and the runtime", async () => {
  const names = new Set<string>();
  for (const change of [{}, { description: "b" }, { device: "2" }, { runtime: "dawn" }] as const) {
    names.add(await tuningFileName(adapterIdentity({ ...info, ...change }, "2.0.0")));
  }
  names.add(await tuningFileName(adapterIdentity(info, "2.0.1")));
  assertEquals(names.size, 5);
  for (const name of names) assert(/^[0-9a-f]{32}\.json$/.test(name));
});

Deno.test("tunableOperators plan every variant that fits, without an adapter", () => {
  using gpu: Gpu = createDryGpu(info);
  let plans = 0;
  for (const [name, each] of tunableOperators) {
    const lengths = sampleLengths(name);
    assertEquals(Object.keys(lengths), [...each.dimensionNames]);
    const codes = new Set<string>();
    for (const variant of each.variants) {
      if (each.unfit(gpu, lengths, variant) !== undefined) continue;
      using plan = each.plan(gpu, lengths, variant);
      const { dispatches } = recordPlan(plan);
      assert(dispatches.length > 0);
      for (const { code, parameters, workgroups } of dispatches) {
        assert(code.includes("fn main"), name);
        assert(parameters.length > 0 && parameters.some((byte) => byte !== 0), name);
        assert(workgroups.every((count) => count >= 1), name);
      }
      codes.add(JSON.stringify(dispatches));
    }
    plans += codes.size;
    assert(each.variants.includes(each.choose(gpu, lengths)));
    assertNotEquals(each.unfit(gpu, lengths, "no such"), undefined);
  }
  assert(plans >= 2 * tunableOperators.size, `${plans} different plans`);
});
