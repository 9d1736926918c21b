/** `deno task sinks` on pretrained models. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runSinks } from "../../../src/cli/sinks.ts";
import { packageCacheFolder } from "../../../src/files/cache_folder.ts";
import type { SinkMeasurement } from "../../../src/sinks/measurement.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { startHub } from "../../support/model/hub.ts";
import { recordOutput } from "../record_output.ts";
import { parseNpy } from "../../support/pretrained/npy.ts";
import { testWith } from "../../support/permitted.ts";
import { lendGpu } from "./run.ts";
import { withModel } from "./pretrained_scene.ts";

const test = testWith("read", "write");

test("runSinks() measures a pretrained model on texts, and shows their beginnings", () =>
  withModel(async ({ model, corpus, folder }) => {
    const output = recordOutput();
    const args = [model, `--corpus=${corpus}`, "--texts=2", "--context=16", "--json"];
    const gpu = await lendGpu();
    const openGpu = () => Promise.resolve(gpu);
    const code = await runSinks([...args, "--no-theory"], { ...output, openGpu });
    assertEquals(code, 0, output.texts.err);
    const { data, pretrained, quantization } = JSON.parse(output.texts.out) as SinkMeasurement;
    assertEquals([data.sequences, data.context], [2, 16]);
    assertEquals(pretrained!.texts.firstTokens.slice(0, 3), ["<|begin_of_text|>", "It", "Ġwas"]);
    assertEquals(pretrained!.model.storedAs, ["BF16"]);
    assertStringIncludes(pretrained!.model.notes.join(), "95 % intervals need at least 8 texts");
    const { loss: spread, sinkRate, gradientSink } = pretrained!.intervals;
    assertEquals([spread, sinkRate, gradientSink], [null, null, null]);
    assertEquals(pretrained!.layers.map((layer) => layer.gradientSinkInterval), [null, null]);
    assertEquals(quantization!.cases.map(({ interval }) => interval), [null, null, null, null]);
    assertEquals([pretrained!.interventions, quantization!.cases.length], [[], 4]);
    assertEquals(quantization!.calibrationBatches, 0);
    const less = recordOutput();
    const states = join(folder, "states");
    const without = [
      "--no-theory",
      "--no-interventions",
      "--no-quantization",
      `--export=${states}`,
    ];
    assertEquals(
      await runSinks([...args, ...without], { ...less, openGpu }),
      0,
      less.texts.err,
    );
    const other = JSON.parse(less.texts.out) as SinkMeasurement;
    assertEquals([other.pretrained!.interventions, other.quantization], [null, null]);
    assertEquals(other.loss, quantization!.loss);
    assertStringIncludes(less.texts.err, `sinks: written to ${states}\n`);
    const read = async (name: string) => parseNpy(await Deno.readFile(join(states, name)));
    const { data: losses, shape } = await read("losses.npy");
    assertEquals(shape, [2, 16]);
    const loss = losses.reduce((sum, each) => sum + each / losses.length, 0);
    assert(Math.abs(loss / other.loss! - 1) < 1e-6, `${loss}, wanted ${other.loss}`);
    const { layers, modelDim } = other.config;
    const last = await read(`output_0${layers - 1}.npy`);
    assertEquals(last.shape, [2, 16, modelDim]);
    const largest = last.data.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
    const wanted = Math.abs(other.pretrained!.layers.at(-1)!.largest[0]!.value);
    assert(Math.abs(largest / wanted - 1) < 1e-6, `${largest}, wanted ${wanted}`);
  }));

const allowed = (await Promise.all(
  ([
    { name: "net", host: "127.0.0.1" },
    { name: "read" },
    { name: "write" },
    { name: "run" },
    { name: "env" },
  ] as const).map(async (need) => (await Deno.permissions.query(need)).state === "granted"),
)).every(Boolean);

Deno.test({
  name: allowed
    ? "deno task sinks fetches a model by its name, once"
    : "deno task sinks fetches a model by its name [needs --allow-env --allow-net=127.0.0.1 --allow-read --allow-run --allow-write]",
  ignore: !allowed,
  fn: () =>
    withModel(async ({ folder, model, corpus }) => {
      const names = await Array.fromAsync(Deno.readDir(model), ({ name }) => name);
      const files = await Promise.all(
        names.map(async (name) => [name, await Deno.readFile(join(model, name))] as const),
      );
      await using hub = startHub(new Map(files), { token: "hf_secret" });
      const root = fileURLToPath(new URL("../../../", import.meta.url));
      const { tasks } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
      const [deno, run, ...flags] = (tasks.sinks.command as string).split(" ");
      assertEquals([deno, run], ["deno", "run"]);
      // The task's flags do not grant this permission, so the user must add it.
      const network = `--allow-net=${new URL(hub.address).host}`;
      const sinks = async (...granted: string[]) => {
        const { code, stderr } = await new Deno.Command(Deno.execPath(), {
          args: [
            "run",
            "--no-prompt",
            ...granted,
            ...flags.with(-1, join(root, flags.at(-1)!)),
            // Asks for more texts than there are. This error comes after the download and needs no
            // GPU.
            ...["owner/tiny", `--corpus=${corpus}`, "--texts=9999"],
          ],
          cwd: folder,
          env: {
            XDG_CACHE_HOME: join(folder, "cache"),
            DENO_DIR: dirname(packageCacheFolder(Deno.env.toObject())),
            HF_ENDPOINT: hub.address,
            HF_TOKEN: "hf_secret",
            GRADSINK_TUNING: "off",
          },
        }).output();
        assertEquals(code, 1);
        return new TextDecoder().decode(stderr);
      };
      assertStringIncludes(
        await sinks(),
        `sinks: fetching owner/tiny from ${hub.address}: missing permission, run again with ${network}`,
      );
      assertEquals(hub.requests, []);
      const fetched = "the corpus makes 3 texts of 128 tokens, wanted 9999";
      assertStringIncludes(await sinks(network), fetched);
      const asked = hub.requests.length;
      assert(asked > 0);
      assertStringIncludes(await sinks(), fetched);
      assertEquals(hub.requests.length, asked);
    }),
});
