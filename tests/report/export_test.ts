/** Exports of measurements contain exactly the measured numbers, and leave nothing half written. */
import { join } from "node:path";
import { ARRAY_NAMES, SinkExport } from "../../src/report/export.ts";
import { arrayOf } from "../../src/report/export/arrays.ts";
import { SinkMeter } from "../../src/sinks/meter.ts";
import type { LayerTrace } from "../../src/reference/llama/trace.ts";
import { assert, assertEquals, assertRejects } from "../support/assert/assert.ts";
import { inFolder, testOnDisk } from "../support/folder.ts";
import { tracedModel } from "../support/model/traces.ts";
import { type NpyArray, parseNpy } from "../support/pretrained/npy.ts";
import { testWith } from "../support/permitted.ts";

const test = testWith("read", "write");

const { config, trace } = tracedModel({ config: { layersWithoutAttention: [1] } });
const { batch, context } = trace;
const options = { config, context, batch, texts: 2 * batch, arrays: ARRAY_NAMES };

function float32<Part>(part: Part): Part {
  if (part instanceof Float64Array) return Float32Array.from(part) as Part;
  if (typeof part !== "object" || part === null) return part;
  return Object.fromEntries(
    Object.entries(part).map(([name, each]) => [name, float32(each)]),
  ) as Part;
}

const layers = trace.layers.map((layer) => float32(layer) as unknown as LayerTrace<Float32Array>);

function tokensOf(seed: number) {
  const tokens = Uint32Array.from({ length: batch * context }, (_, i) => (seed + 7 * i) % 5);
  return { batch, context, inputs: tokens, targets: tokens.map((token) => token + 1) };
}

function measured() {
  const meter = new SinkMeter({ config, context, settings: { lastGradientPosition: 5 } });
  meter.add(trace, { loss: 2 });
  meter.add(trace, { loss: 2 });
  return meter.result({ run: 'a "run", or two', step: 3, task: "text", seed: null });
}

async function write(folder: string): Promise<void> {
  await using files = await SinkExport.open(folder, options);
  for (const seed of [1, 2]) {
    await files.onBatch(tokensOf(seed), Float64Array.from(tokensOf(seed).inputs, (x) => x / 3));
    for (let layer = config.layers - 1; layer >= 0; layer--) {
      await files.onLayer(layer, layers[layer]!);
    }
  }
  await assertRejects(() => Deno.stat(join(folder, "tokens.csv")), Deno.errors.NotFound);
  await files.finish(measured());
}

test("SinkExport writes every array, with an index that describes it", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "états 1");
    await write(folder);
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    const index = JSON.parse(await Deno.readTextFile(join(folder, "index.json")));
    assertEquals(index.schema, "gradsink-export/1");
    assertEquals(index.data, { sequences: 2 * batch, context });
    const files: string[] = [...index.arrays, ...index.tables].map(({ file }) => file);
    assertEquals([...files, "index.json"].sort(), names.sort());
    const arrays = new Map<string, NpyArray>();
    for (const { file, dtype, shape, axes, meaning } of index.arrays) {
      const found = parseNpy(await Deno.readFile(join(folder, file)));
      assertEquals([found.type, found.shape], [dtype === "float32" ? "<f4" : "<u4", shape]);
      assertEquals(axes.length, shape.length);
      assert(meaning.length > 3, `${file} has no meaning`);
      arrays.set(file, found);
    }
    assertEquals(
      [...arrays.get("tokens.npy")!.data],
      [...tokensOf(1).inputs, ...tokensOf(2).inputs],
    );
    assertEquals(arrays.get("losses.npy")!.data[1], Math.fround(tokensOf(1).inputs[1]! / 3));
    for (const name of ARRAY_NAMES) {
      layers.forEach((layer, at) => {
        const wanted = arrayOf(name).read(layer);
        const found = arrays.get(`${name}_0${at}.npy`);
        assertEquals(found === undefined, wanted === undefined, `${name} of layer ${at}`);
        if (wanted === undefined) return;
        // Exported gradients are those of the mean loss of both batches. So each is half the
        // gradient of its own batch's loss.
        const share = name.endsWith("gradient") ? 0.5 : 1;
        const twice = [...wanted, ...wanted].map((value) => share * value);
        assertEquals([...found!.data], twice, `${name} of layer ${at}`);
      });
    }
  }));

test("SinkExport's tables have a row for every token and head, with the norms of the arrays", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "out");
    await Deno.mkdir(folder); // an empty folder is allowed
    await write(folder);
    const table = async (name: string) => {
      const text = await Deno.readTextFile(join(folder, name));
      assert(text.endsWith("\n"));
      const [columns, ...rows] = text.trimEnd().split("\n").map((line) => line.split(","));
      assertEquals(new Set(rows.map((row) => row.length)), new Set([columns!.length]));
      return rows.map((row) => Object.fromEntries(columns!.map((name, i) => [name, row[i]!])));
    };
    const tokens = await table("tokens.csv");
    assertEquals(tokens.length, 2 * batch * context);
    const last = tokensOf(2).inputs.at(-1)!;
    assertEquals(tokens.at(-1), {
      text: String(2 * batch - 1),
      position: String(context - 1),
      token: String(last),
      target: String(last + 1),
      loss: String(Number((last / 3).toPrecision(8))),
    });
    const states = await table("states.csv");
    assertEquals(states.length, config.layers * 2 * batch * context);
    const close = (found: string | undefined, values: readonly number[], share = 1) => {
      const wanted = share * Math.hypot(...values);
      assert(Math.abs(Number(found) / wanted - 1) < 1e-6, `${found}, wanted ${wanted}`);
    };
    const { queryHeads, headDim, modelDim } = config;
    const rowOf = (layer: number, text: number, position: number) =>
      states.find((row) =>
        row.layer === String(layer) && row.text === String(text) &&
        row.position === String(position)
      )!;
    const row = rowOf(2, batch + 1, 3);
    const start = (context + 3) * modelDim;
    close(row.output, [...layers[2]!.output.subarray(start, start + modelDim)]);
    const query = layers[2]!.attention!.gradients.query;
    const ofHeads = Array.from({ length: queryHeads }, (_, head) => {
      const at = ((queryHeads + head) * context + 3) * headDim;
      return [...query.subarray(at, at + headDim)];
    }).flat();
    close(row.query_gradient, ofHeads, 0.5);
    assertEquals(rowOf(1, 0, 0).query, "", "layer 1 has no attention");
    const { layers: found } = measured();
    const heads = await table("heads.csv");
    assertEquals(heads.length, (config.layers - 1) * queryHeads);
    assertEquals(heads.at(-1)!.score, String(found[2]!.attention!.heads.at(-1)!.score));
  }));

test("SinkExport removes an unfinished export, and refuses a folder with other files", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "out");
    await assertRejects(
      async () => {
        await using files = await SinkExport.open(folder, options);
        await files.onBatch(tokensOf(1), new Float64Array(batch * context));
        await files.onLayer(0, layers[0]!);
        throw new RangeError("the measurement failed");
      },
      RangeError,
      "the measurement failed",
    );
    const left = () => Array.fromAsync(Deno.readDir(parent), ({ name }) => name);
    assertEquals(await left(), []);
    await Deno.mkdir(folder);
    await Deno.writeTextFile(join(folder, "notes"), "mine");
    await assertRejects(
      () => SinkExport.open(folder, options),
      Error,
      'out: is there and holds "notes", wanted a new or an empty folder',
    );
    await assertRejects(
      () => SinkExport.open(join(folder, "notes"), options),
      Error,
      "is not a folder, wanted a new or an empty one",
    );
    assertEquals(await left(), ["out"]);
  }));

testOnDisk("sys")("SinkExport refuses more than the disk has room for", async (parent) => {
  const huge = { ...options, texts: 1e12, arrays: ["output"] as const };
  await assertRejects(
    () => SinkExport.open(join(parent, "out"), huge),
    Error,
    "name fewer --arrays",
  );
  assertEquals((await Array.fromAsync(Deno.readDir(parent))).length, 0);
});
