import { join } from "node:path";
import { CheckpointError } from "../../../src/model/checkpoint/error.ts";
import {
  type NamedTensor,
  readSafetensors,
  safetensorsPieces,
  takeTensors,
} from "../../../src/model/checkpoint/safetensors.ts";
import { randomNormal } from "../../../src/random.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../support/assert/assert.ts";
import { inFolder } from "../../support/folder.ts";
import { fileOf, joined } from "../../support/model/safetensors.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read", "write");

const tensors = new Map<string, NamedTensor>([
  ["b.weight", { shape: [3, 2], data: randomNormal({ seed: 1, length: 6 }) }],
  ["a", { shape: [4], data: Float32Array.of(0, -0, 1e-45, 3.4e38) }],
]);

test("safetensorsPieces() writes the format, and readSafetensors() reads the same bits", () =>
  inFolder(async (folder) => {
    const bytes = joined(safetensorsPieces(tensors, { step: "7" }));
    const view = new DataView(bytes.buffer);
    const length = Number(view.getBigUint64(0, true));
    assertEquals(length % 8, 0);
    assertEquals(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))), {
      __metadata__: { format: "pt", step: "7" },
      "b.weight": { dtype: "F32", shape: [3, 2], data_offsets: [0, 24] },
      a: { dtype: "F32", shape: [4], data_offsets: [24, 40] },
    });
    assertEquals(bytes.length, 8 + length + 40);
    assertEquals(view.getFloat32(8 + length, true), tensors.get("b.weight")!.data[0]);
    const path = join(folder, "a.safetensors");
    await Deno.writeFile(path, bytes);
    const read = await readSafetensors(path);
    assertEquals([...read.keys()], ["b.weight", "a"]);
    for (const [name, { shape, data }] of tensors) {
      assertEquals(read.get(name)!.shape, shape);
      assertEquals(new Uint8Array(read.get(name)!.data.buffer), new Uint8Array(data.buffer));
    }
  }));

test("readSafetensors() takes tensors in any order, none, and empty ones", () =>
  inFolder(async (folder) => {
    const path = join(folder, "x");
    const entry = (shape: number[], start: number, end: number) => ({
      dtype: "F32",
      shape,
      data_offsets: [start, end],
    });
    const data = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
    await Deno.writeFile(
      path,
      fileOf({ z: entry([2], 4, 12), y: entry([0, 5], 4, 4), x: entry([], 0, 4) }, data),
    );
    const read = await readSafetensors(path);
    assertEquals([...read.get("z")!.data], [2, 3]);
    assertEquals([...read.get("x")!.data], [1]);
    assertEquals(read.get("y")!.data.length, 0);
    await Deno.writeFile(path, fileOf({}));
    assertEquals((await readSafetensors(path)).size, 0);
  }));

test("readSafetensors() refuses damaged and hostile files, with one clear message", () =>
  inFolder(async (folder) => {
    const path = join(folder, "bad.safetensors");
    const good = joined(safetensorsPieces(tensors));
    const f32 = (shape: unknown, offsets: unknown, dtype: unknown = "F32") => ({
      dtype,
      shape,
      data_offsets: offsets,
    });
    const bytes = (count: number) => new Uint8Array(count);
    const huge = good.slice();
    new DataView(huge.buffer).setBigUint64(0, 2n ** 63n, true);
    const cases: readonly [string, Uint8Array, string][] = [
      ["empty", new Uint8Array(), "has 0 bytes, too few for a safetensors file: fetch it again"],
      ["no header", good.subarray(0, 7), "has 7 bytes, too few"],
      ["half a header", good.subarray(0, 60), "says that its header has"],
      [
        "truncated",
        good.subarray(0, good.length - 1),
        "holds 39: it is incomplete, so fetch it again",
      ],
      ["more bytes", joined([good, bytes(4)]), "its tensors have 40 bytes, but the file holds 44"],
      ["a huge header", huge, "header has 9223372036854775808 bytes"],
      ["no JSON", fileOf("{"), "header is not JSON"],
      ["no UTF-8", joined([fileOf("{}").subarray(0, 8), Uint8Array.of(0xff, 0xfe)]), "not JSON"],
      ["deep", fileOf("[".repeat(1e6)), "header is not JSON"],
      ["a list", fileOf([]), "header is not an object"],
      ["null", fileOf("null"), "header is not an object"],
      ["a number", fileOf({ a: 5 }), 'entry "a" is not an object'],
      [
        "another type",
        fileOf({ a: f32([2], [0, 8], "I32") }, bytes(8)),
        '"a" is of type "I32", wanted one of F32, F16, BF16: convert it, for example with',
      ],
      [
        "a type that is none",
        fileOf({ a: f32([2], [0, 8], "toString") }, bytes(8)),
        '"a" is of type "toString", which the format does not have',
      ],
      ["half a byte", fileOf({ a: f32([3], [0, 2], "F4") }, bytes(2)), "shape [3] takes 1.5"],
      [
        "no type",
        fileOf({ a: { shape: [1], data_offsets: [0, 4] } }, bytes(4)),
        'type "undefined"',
      ],
      [
        "a pointer of Git LFS",
        new TextEncoder().encode(
          "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        ),
        "is a pointer of Git LFS and not the file itself: fetch it with git lfs pull",
      ],
      ["another size", fileOf({ a: f32([3], [0, 8]) }, bytes(8)), "shape [3] takes 12"],
      ["a product beyond all", fileOf({ a: f32([2 ** 52, 2 ** 52], [0, 8]) }, bytes(8)), "takes 8"],
      ["a negative extent", fileOf({ a: f32([-1, -1], [0, 4]) }, bytes(4)), "no valid shape"],
      ["half an extent", fileOf({ a: f32([0.5], [0, 2]) }, bytes(2)), "no valid shape"],
      ["no shape", fileOf({ a: f32("1", [0, 4]) }, bytes(4)), "no valid shape"],
      ["backwards", fileOf({ a: f32([1], [8, 4]) }, bytes(8)), "no valid data_offsets"],
      ["three offsets", fileOf({ a: f32([1], [0, 4, 8]) }, bytes(4)), "no valid data_offsets"],
      [
        "overlapping",
        fileOf({ a: f32([2], [0, 8]), b: f32([2], [4, 12]) }, bytes(12)),
        '"b" begins at byte 4, wanted 8',
      ],
      [
        "twice the same",
        fileOf({ a: f32([1], [0, 4]), b: f32([1], [0, 4]) }, bytes(4)),
        '"b" begins at byte 0, wanted 4',
      ],
      ["a gap", fileOf({ a: f32([1], [4, 8]) }, bytes(8)), '"a" begins at byte 4, wanted 0'],
      ["beyond the file", fileOf({ a: f32([9], [0, 36]) }, bytes(4)), "have 36 bytes"],
      [
        "a duplicate that hides a tensor",
        fileOf(
          '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' +
            '"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
          bytes(8),
        ),
        '"a" begins at byte 4',
      ],
    ];
    for (const [name, content, message] of cases) {
      await Deno.writeFile(path, content);
      const error = await assertRejects(() => readSafetensors(path), CheckpointError, message);
      assert(error.message.startsWith(`${path}: `), `${name}: ${error.message}`);
      assert(!error.message.includes("\n"), name);
    }
    assertEquals(cases.length, 29);
    await assertRejects(
      () => readSafetensors(join(folder, "none")),
      CheckpointError,
      "no such file",
    );
    await assertRejects(() => readSafetensors(folder), CheckpointError, "is not a regular file");
    const flipped = good.slice();
    flipped[8] = 0x5b; // replaces the header's brace
    await Deno.writeFile(path, flipped);
    await assertRejects(() => readSafetensors(path), CheckpointError, "header is not JSON");
  }));

Deno.test("takeTensors() requires every tensor of the model and no other, in finite numbers", () => {
  const wanted = [...tensors].map(([name, { shape }]) => ({ name, shape })).reverse();
  assertEquals([...takeTensors("f", { tensors, wanted }).keys()], ["a", "b.weight"]);
  const refused = (change: Map<string, NamedTensor>, message: string) =>
    assertThrows(() => takeTensors("f", { tensors: change, wanted }), CheckpointError, message);
  refused(new Map([...tensors].slice(0, 1)), "f: a is missing");
  const data = new Float32Array(6);
  refused(
    new Map(tensors).set("b.weight", { shape: [2, 3], data }),
    "b.weight has shape [2, 3], wanted [3, 2]",
  );
  refused(new Map(tensors).set("c", { shape: [6], data }), 'holds "c", which the model does not');
  refused(new Map(tensors).set("__proto__", { shape: [6], data }), 'holds "__proto__"');
  for (const value of [NaN, Infinity, -Infinity]) {
    refused(
      new Map(tensors).set("b.weight", { shape: [3, 2], data: data.with(4, value) }),
      `b.weight holds ${value} at element 4, wanted finite numbers`,
    );
  }
});
