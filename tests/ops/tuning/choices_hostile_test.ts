/** A hostile file in the cache of tuned choices does no harm. */
import fc from "fast-check";
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import { attentionBackwardHalfVariants } from "../../../src/ops/attention/backward_variants.ts";
import { attentionForwardHalfVariants } from "../../../src/ops/attention/forward_variants.ts";
import { matmulHalfVariants } from "../../../src/ops/matmul/variants.ts";
import {
  type Dimensions,
  type TunableOperator,
  tunableOperators,
} from "../../../src/ops/tuning/operators.ts";
import {
  candidatesHash,
  formatTuning,
  isCurrent,
  MAXIMUM_TUNING_BYTES,
  MAXIMUM_TUNING_ENTRIES,
  parseTuning,
  type TunedChoice,
} from "../../../src/ops/tuning/choices.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import {
  chosenBy,
  identity,
  info,
  sampleLengths,
  softwareInfo,
  tunedChoice,
} from "../../support/tuned_choice.ts";

const PLACE = "@place@";

/** JSON that tuning never writes; `1e999` parses to infinity. */
const hostileJson = fc.oneof(
  fc.constantFrom(
    ...["null", "true", "-0", "1e999", "-1e999", "1.5", "9007199254740993", '"4096"', '"1e3"'],
    ...['""', '"__proto__"', '"constructor"', '"toString"', '"portable"', '"tiled-f16"', '"f16"'],
    ...["[]", "{}", "[[]]", '{"length": 1, "0": {}}', '{"__proto__": {"variant": "portable"}}'],
    ...['{"rows": 4096, "rows": 1}', '{"toString": null}', '{"valueOf": 1, "includes": {}}'],
    JSON.stringify("\ud800"),
    JSON.stringify("a".repeat(10_000)),
    "[".repeat(20_000) + "]".repeat(20_000),
    '{"a":'.repeat(20_000) + "1" + "}".repeat(20_000),
  ),
  fc.json(),
  fc.double().map((number) => JSON.stringify(number)),
);

// Returns the paths of the value itself and of all fields and elements in it, at any depth.
function placesIn(value: unknown): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [[]];
  const below = Object.entries(value)
    .flatMap(([name, each]) => placesIn(each).map((place) => [name, ...place]));
  return [[], ...below];
}

// Returns a value as JSON, after `text` has replaced what is at the path `place`. If `renames`, and
// if a field is there, `text` replaces the field's name instead of its value.
function replaced(
  value: unknown,
  place: readonly string[],
  { text, renames }: { readonly text: string; readonly renames: boolean },
): string {
  const edited = structuredClone(value) as Record<string, unknown>;
  if (place.length === 0) return text;
  let holder = edited;
  for (const name of place.slice(0, -1)) holder = holder[name] as Record<string, unknown>;
  const last = place.at(-1)!;
  if (!renames || Array.isArray(holder)) {
    holder[last] = PLACE;
    return JSON.stringify(edited).replace(JSON.stringify(PLACE), () => text);
  }
  holder[PLACE] = holder[last];
  delete holder[last];
  return JSON.stringify(edited)
    .replace(JSON.stringify(PLACE), () => text.startsWith('"') ? text : JSON.stringify(text));
}

// True if every chosen variant belongs to the operator that it was chosen for.
function isHarmless(taken: ReadonlyMap<string, string>): boolean {
  return [...taken].every(([key, variant]) => {
    const operator = tunableOperators.get(key.split(" ")[0]!);
    return operator !== undefined && operator.variants.includes(variant);
  });
}

Deno.test("parseTuning() accepts only known kernels, whatever the file contains", async () => {
  const good = await tunedChoice();
  const file = JSON.parse(formatTuning(identity, [good, await tunedChoice({ variant: "tile" })]));
  const places = placesIn(file);
  const before = Object.getOwnPropertyNames(Object.prototype).join();
  const drawn = fc.record({
    place: fc.constantFrom(...places),
    text: hostileJson,
    renames: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(drawn, async ({ place, text, renames }) => {
      assert(isHarmless(await chosenBy(replaced(file, place, { text, renames }))));
    }),
    { seed: 4, numRuns: 600 },
  );
  assertEquals(Object.getOwnPropertyNames(Object.prototype).join(), before);
});

Deno.test("parseTuning() accepts nothing from a file cut off at any byte", async () => {
  const bytes = new TextEncoder().encode(formatTuning(identity, [await tunedChoice()]));
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (let length = 0; length < bytes.length - 1; length++) { // the last byte is only the line's end
    const text = decoder.decode(bytes.subarray(0, length));
    assertEquals(parseTuning(text, identity), [], `the first ${length} bytes`);
  }
});

Deno.test("applyTuning() makes the original choices or none from a file with changed bytes", async () => {
  const good = await tunedChoice();
  const bytes = new TextEncoder().encode(formatTuning(identity, [good]));
  const whole = await chosenBy(new TextDecoder().decode(bytes));
  assertEquals(whole.size, 1);
  const edit = fc.record({
    at: fc.nat({ max: bytes.length - 1 }),
    byte: fc.nat({ max: 255 }),
    kind: fc.constantFrom("change", "remove", "insert"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
      const list = [...bytes];
      for (const { at, byte, kind } of edits) {
        list.splice(at, kind === "insert" ? 0 : 1, ...kind === "remove" ? [] : [byte]);
      }
      let text: string;
      try {
        text = new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(list));
      } catch {
        return; // as readTuning rejects invalid UTF-8
      }
      const taken = await chosenBy(text);
      assert(taken.size === 0 || [...taken].join() === [...whole].join(), [...taken].join());
    }),
    { seed: 5, numRuns: 1500 },
  );
});

const named = new Map<string, readonly { readonly name: string }[]>([
  ["attentionForward", attentionForwardHalfVariants],
  ["attentionBackward", attentionBackwardHalfVariants],
  ["matmul", matmulHalfVariants],
]);

Deno.test("applyTuning() never chooses a kernel that computes in f16, even if the hash is right", async () => {
  const halves = { ...info, features: [...info.features, "shader-f16"] };
  for (const [name, variants] of named) {
    const operator = tunableOperators.get(name)!;
    const dimensions = sampleLengths(name);
    const entry = {
      operator: name,
      shapeClass: operator.shapeClass(dimensions),
      dimensions,
      candidatesHash: await candidatesHash(halves, operator, dimensions),
    };
    assert(await isCurrent(halves, await tunedChoice({ ...entry, variant: "portable" })));
    assert(variants.length > 0);
    for (const { name: variant } of variants) {
      const choice = await tunedChoice({ ...entry, variant });
      for (const dtype of ["f32", "f16"]) {
        assertEquals(parseTuning(formatTuning(identity, [{ ...choice, dtype }]), identity), []);
      }
      assertEquals(await isCurrent(halves, choice), false);
      // A saved training run may put an f16 variant into `gpu.variants`. Even then the operator
      // does not choose this variant.
      using gpu = createDryGpu(halves);
      gpu.variants.set(`${name} ${entry.shapeClass}`, variant);
      assert(operator.choose(gpu, dimensions) !== variant);
    }
  }
});

Deno.test("applyTuning() skips a kernel that the adapter cannot run, even if the hash is right", async () => {
  const none = { ...info, features: [], subgroupSize: undefined };
  const { subgroupSize: _, ...without } = none;
  const operator = tunableOperators.get("rmsNormForward")!;
  const { dimensions } = await tunedChoice();
  const hash = await candidatesHash(without, operator, dimensions);
  const choose = async (variant: string) =>
    isCurrent(without, await tunedChoice({ variant, candidatesHash: hash }));
  assertEquals(await choose("vectorised"), true);
  assertEquals(await choose("subgroup"), false);
});

// The smallest and largest lengths, and some that make long loops.
const length = fc.constantFrom(
  ...[1, 3, 4, 32, 64, 128, 256, 1000],
  ...[2 ** 14, 2 ** 19, 2 ** 20, 2 ** 24],
);

function lengthsOf({ dimensionNames }: TunableOperator): fc.Arbitrary<Dimensions> {
  return fc.record(Object.fromEntries(dimensionNames.map((name) => [
    name,
    name.startsWith("transpose") ? fc.nat({ max: 1 }) : length,
  ])));
}

// Lengths that split the work into millions of parts, or fill the memory.
const endless: readonly [string, Dimensions][] = [
  ["attentionBackward", { B: 2 ** 24, Hq: 2 ** 24, Hkv: 2 ** 24, T: 256, D: 64 }],
  ["attentionBackward", { B: 1, Hq: 1, Hkv: 1, T: 2 ** 19, D: 64 }],
  ["attentionBackward", { B: 1, Hq: 1024, Hkv: 1, T: 2 ** 14, D: 4 }],
  ["vScaleForward", { B: 1, Hkv: 2 ** 24, T: 1, D: 4 }],
];

Deno.test("isCurrent() is false within a moment, whatever lengths a file claims", async () => {
  const pretended = (lengths: { readonly [name: string]: number }, operator: TunableOperator) =>
    tunedChoice({
      operator: operator.operator,
      shapeClass: operator.shapeClass(lengths),
      dimensions: lengths,
      variant: operator.variants[0]!,
      candidatesHash: "0".repeat(64),
    });
  const limits = { ...info.limits, maxBufferSize: 2 ** 40, maxStorageBufferBindingSize: 2 ** 40 };
  const check = async (name: string, dimensions: Dimensions): Promise<void> => {
    const operator = tunableOperators.get(name)!;
    const choice = await pretended(dimensions, operator);
    for (const adapter of [info, softwareInfo]) {
      const start = performance.now();
      assertEquals(await isCurrent({ ...adapter, limits }, choice), false);
      const time = performance.now() - start;
      assert(time < 2000, `${name} ${JSON.stringify(dimensions)} took ${time} ms`);
    }
  };
  for (const [name, dimensions] of endless) await check(name, dimensions);
  for (const [name, operator] of tunableOperators) {
    await fc.assert(
      fc.asyncProperty(lengthsOf(operator), (dimensions) => check(name, dimensions)),
      { seed: 6, numRuns: 25 },
    );
  }
});

Deno.test("parseTuning() reads as much as tuning writes, and no more", async () => {
  const good: TunedChoice = await tunedChoice();
  const longest = { ...good, date: "2026-11-25T00:00:00.000+00:00" };
  const filled = (count: number) => formatTuning(identity, new Array(count).fill(longest));
  assert(filled(MAXIMUM_TUNING_ENTRIES).length < MAXIMUM_TUNING_BYTES);
  assertEquals(
    parseTuning(filled(MAXIMUM_TUNING_ENTRIES), identity).length,
    MAXIMUM_TUNING_ENTRIES,
  );
  assertEquals(parseTuning(filled(MAXIMUM_TUNING_ENTRIES + 1), identity), []);
  const [kept] = parseTuning(
    formatTuning(identity, [{ ...good, date: "<b>\u001b[31m" }]),
    identity,
  );
  assertEquals(kept!.date, "");
});
