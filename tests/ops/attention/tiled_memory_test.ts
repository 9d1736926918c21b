/**
 * Bank conflicts in the workgroup memory of attention's tiled kernels. The test evaluates every
 * index in their WGSL for every invocation, and counts the different words per bank that
 * neighboring invocations access together.
 */
import { attentionBackwardKeyValueTiled } from "../../../kernels/attention/tiled/backward_key_value.wgsl.ts";
import { attentionBackwardQueryTiled } from "../../../kernels/attention/tiled/backward_query.wgsl.ts";
import { attentionForwardTiled } from "../../../kernels/attention/tiled/forward.wgsl.ts";
import { attentionTiledMemory } from "../../../kernels/attention/tiled/memory.ts";
import type { AttentionTiledOptions } from "../../../kernels/attention/tiled/tile.ts";
import { attentionHalfTiles, attentionTiles } from "../../../src/ops/attention/tiled.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";

/** Workgroup memory has 32 banks. Each serves one 4-byte word at a time; a second word waits. */
const BANKS = 32;

/**
 * An array in workgroup memory: its dimensions' lengths, outermost first, and an element's size in
 * words.
 */
interface WorkgroupArray {
  readonly lengths: readonly number[];
  readonly words: number;
}

function workgroupArrays(source: string): Map<string, WorkgroupArray> {
  const arrays = new Map<string, WorkgroupArray>();
  for (const [, name, type] of source.matchAll(/var<workgroup> (\w+): ([^;]+);/g)) {
    const lengths = [...type!.matchAll(/, (\d+)>/g)].map(([, length]) => Number(length)).reverse();
    arrays.set(name!, { lengths, words: Number(/vec(\d)[fu]/.exec(type!)![1]) });
  }
  return arrays;
}

/** Variables that an index may contain, in the order of an address function's arguments. */
const NAMES = ["x", "y", "invocation", "turn", "run", "column", "first"] as const;
const DEFINED = ["unit", "vector", "block", "firstBlock"] as const;

type Lane = readonly number[];
type Addresses = (...lane: Lane) => number | undefined;

// Translates WGSL's unsigned arithmetic to JavaScript: only division differs.
function translated(expression: string): string {
  const numbers = expression.replaceAll(/(\d+)u\b/g, "$1");
  // Finds quotients with literal divisors, from the left, so that each quotient is rounded down
  // before it is multiplied.
  return numbers.replaceAll(
    /([\w.]+|\([^()]*\)) \/ (\d+)( \/ (\d+))?/g,
    (_, a, b, _again, c) =>
      c === undefined ? `Math.floor(${a} / ${b})` : `Math.floor(${a} / ${b * c})`,
  );
}

// Turns an access into a function that returns its address in words. The function includes the
// `let` definitions that the index uses.
function addressesOf(
  access: string,
  before: string,
  { lengths, words }: WorkgroupArray,
): Addresses {
  const indexes = [...access.matchAll(/\[([^\]]+)\]/g)].map(([, text]) => translated(text!));
  assertEquals(indexes.length, lengths.length, access);
  const lines = DEFINED.flatMap((name) => {
    const from = before.lastIndexOf(`let ${name} = `);
    if (from < 0) return [];
    const text = before.slice(from, before.indexOf(";", from));
    return [`${translated(text)};`];
  });
  const address = indexes.reduce((sum, text, i) => `(${sum}) * ${lengths[i]} + (${text})`, "0");
  // Skips invocations whose unit is negative: they work on the other operand.
  const others = /\bblock\b/.test(access) && lines.some((line) => line.startsWith("let unit"))
    ? "if (unit < 0) return undefined;"
    : "";
  return new Function(
    ...NAMES,
    `${lines.join(" ")} ${others} return ${words} * (${address});`,
  ) as Addresses;
}

/**
 * Lists every access in a kernel's source. Its `degree` is the largest number of words of one bank
 * that invocations access at once.
 */
function conflicts(
  source: string,
  { across, down }: AttentionTiledOptions,
): { readonly access: string; readonly degree: number }[] {
  const arrays = workgroupArrays(source);
  const accesses = [...source.matchAll(/\b(tile|weights|partial)((?:\[[^\]]+\])+)/g)];
  return accesses.map(({ 0: access, 1: name, index }) => {
    const array = arrays.get(name!)!;
    const addressOf = addressesOf(access, source.slice(0, index), array);
    const addresses = Array.from(
      { length: across * down },
      (_, lane) => addressOf(lane % across, Math.floor(lane / across), lane, 0, 0, 0, 0),
    );
    const together = BANKS / array.words;
    let degree = 1;
    for (let first = 0; first < addresses.length; first += together) {
      const banks = new Map<number, Set<number>>();
      for (const address of addresses.slice(first, first + together)) {
        if (address === undefined) continue;
        assert(Number.isInteger(address) && address >= 0, access);
        for (let word = address; word < address + array.words; word++) {
          const bank = banks.get(word % BANKS) ?? new Set();
          banks.set(word % BANKS, bank.add(word));
        }
      }
      degree = Math.max(degree, ...[...banks.values()].map(({ size }) => size));
    }
    return { access, degree };
  });
}

function sources(options: AttentionTiledOptions): string[] {
  return [
    attentionForwardTiled(options),
    attentionBackwardQueryTiled(options),
    attentionBackwardKeyValueTiled({ ...options, blocksDown: 1 }),
  ];
}

function worst(options: AttentionTiledOptions): number[] {
  return sources(options).map((source) => {
    const all = conflicts(source, options);
    assert(all.length > 50);
    return Math.max(...all.map(({ degree }) => degree));
  });
}

Deno.test("attention's tiled kernels have no bank conflicts", () => {
  for (const [name, tile] of Object.entries(attentionTiles)) {
    assertEquals(worst({ ...tile, headDim: 64 }), [1, 1, 1], name);
  }
});

Deno.test("attention's tiled f16 kernels have no conflicts with 16 invocations across, two-way ones with 8", () => {
  for (const [name, tile] of Object.entries(attentionHalfTiles)) {
    // With 8 invocations across, two rows of invocations write their weights at once. An odd pitch
    // puts the columns into different banks, but the two rows still share banks.
    const most = tile.across === 16 ? 1 : 2;
    assertEquals(worst({ ...tile, headDim: 64 }), [most, most, most], name);
  }
});

Deno.test("conflicts() sees a pitch without padding", () => {
  const options = { ...attentionTiles["tiled-64x64-4x4"]!, headDim: 64 };
  const source = attentionForwardTiled(options);
  const even = source.replace("<vec4f, 17>, 4>", "<vec4f, 16>, 4>");
  assert(even !== source);
  const degrees = conflicts(even, options);
  const staging = degrees.filter(({ access }) => access.includes("vector"));
  const weights = degrees.filter(({ access }) => access.includes("[x % 4u]"));
  assertEquals(Math.max(...staging.map(({ degree }) => degree)), 2);
  assertEquals(Math.max(...weights.map(({ degree }) => degree)), 8);
});

Deno.test("attentionTiledMemory() is what the kernels declare", () => {
  for (const tile of Object.values({ ...attentionTiles, ...attentionHalfTiles })) {
    const options = { ...tile, headDim: 64 };
    const arrays = [...workgroupArrays(attentionForwardTiled(options)).values()];
    const words = arrays.reduce(
      (sum, { lengths, words }) => sum + lengths.reduce((product, n) => product * n, words),
      0,
    );
    assertEquals(attentionTiledMemory(options), 4 * words);
  }
});
