/** Tests that PyTorch and this project agree about a pretrained model in the bench of peers. */
import { compareOn } from "../../../bench/peers/compare.ts";
import { startContender } from "../../../bench/peers/contender.ts";
import { prepareModel } from "../../../bench/peers/libraries/ours/model.ts";
import { startTorch } from "../../../bench/peers/libraries/torch_cpu.ts";
import { modelStretches, readModelWorks } from "../../../bench/peers/model_works.ts";
import { inputsOf } from "../../../bench/peers/works.ts";
import { UsageError } from "../../../src/cli/shared/arguments.ts";
import { CheckpointError } from "../../../src/model/checkpoint/error.ts";
import { openWeights } from "../../../src/model/pretrained/weights.ts";
import { llamaGradients } from "../../../src/reference/llama.ts";
import { assert, assertEquals, assertRejects } from "../../support/assert/assert.ts";
import { onEachRuntime } from "../../support/gpu.ts";
import { testWith } from "../../support/permitted.ts";
import { familyFolder, relativeDistance } from "../../support/pretrained/families.ts";

const folder = familyFolder("qwen3");

testWith("read")("readModelWorks() reads a model's shape, and refuses other folders", async () => {
  const works = await readModelWorks(folder, "7");
  assertEquals(works.map(({ name, dimensions }) => [name, dimensions]), [
    ["model-forward-t7", { T: 7, V: 33, d: 20 }],
    ["model-forward+backward-t7", { T: 7, V: 33, d: 20 }],
  ]);
  const [forward, both] = works;
  assertEquals(modelStretches(forward!), [{ output: "tokenLosses", start: 0, length: 7 }]);
  assertEquals(modelStretches(both!).at(-1), {
    output: "embeddedGradient",
    start: 120,
    length: 20,
  });
  const { inputs, targets } = inputsOf(forward!);
  assertEquals(inputs!.slice(1), targets!.slice(0, -1));
  assert([...inputs!].every((token) => Number.isSafeInteger(token) && token >= 0 && token < 33));
  for (const context of ["0", "1.5", "513", "many"]) {
    await assertRejects(
      () => readModelWorks(folder, context),
      UsageError,
      `--context is "${context}", wanted a whole number from 1 to 512`,
    );
  }
  await assertRejects(() => readModelWorks(`${folder}-none`), CheckpointError, "no such folder");
});

onEachRuntime("prepareModel() gives the twin's answers", async (gpu) => {
  const [, work] = await readModelWorks(folder, "7");
  const numbers = inputsOf(work!);
  const { run, read } = await prepareModel(gpu, work!, numbers);
  await run();
  const found = await read();
  using weights = await openWeights(folder);
  const parameters = new Map<string, Float64Array>();
  for (const name of weights.shapes.keys()) {
    parameters.set(name, Float64Array.from(await weights.read(name)));
  }
  const { loss, trace } = llamaGradients({
    config: weights.architecture.config,
    parameters,
    batch: {
      batch: 1,
      context: 7,
      inputs: Uint32Array.from(numbers.inputs!),
      targets: Uint32Array.from(numbers.targets!),
    },
  });
  const mean = found.tokenLosses!.reduce((sum, each) => sum + each, 0) / 7;
  assert(Math.abs(mean / loss - 1) < 1e-5, `${mean}, wanted ${loss}`);
  const wanted = trace.layers[0]!.gradients.input;
  const distance = relativeDistance(found.embeddedGradient!, wanted);
  assert(distance < 1e-5, `the gradient is off by ${distance}`);
}, { runtimes: ["deno"], permissions: ["read"] });

const may = Deno.permissions.querySync({ name: "run" }).state === "granted" &&
  Deno.permissions.querySync({ name: "read" }).state === "granted";

async function lacking(): Promise<string | undefined> {
  if (!may) return "running it was not allowed";
  const contender = await startTorch();
  const ready = await contender.ready;
  const [work] = await readModelWorks(folder, "7");
  const reply = ready.type === "failed"
    ? ready
    : await contender.ask({ type: "prepare", work: work!, stretches: modelStretches(work!) });
  await contender.close();
  // The test reports any other failure.
  return reply.type === "failed" && reply.reason.includes(" no ") ? reply.reason : undefined;
}

const reason = await lacking();

Deno.test({
  name: `PyTorch's answers on a model agree with this project's${
    reason === undefined ? "" : ` [${reason}]`
  }`,
  ignore: reason !== undefined,
  async fn() {
    const child = new URL("../../../bench/peers/child.ts", import.meta.url).href;
    const ours = startContender(["run", "-A", "--quiet", "--no-lock", child, "gradsink"]);
    assertEquals((await ours.ready).type, "ready");
    const torch = await startTorch();
    for (const work of await readModelWorks(folder, "7")) {
      let looks = 0;
      const { results } = await compareOn(work, [
        { library: "gradsink", contender: ours },
        { library: "torch-cpu", contender: torch },
      ], {
        budget: 1,
        seed: 1,
        now: () => looks++,
        interrupted: () => looks > 0, // times do not matter here
      });
      for (const { library, status, reason, error } of results) {
        assertEquals(status, "ok", `${work.name} by ${library}: ${reason}`);
        if (library !== "gradsink") assert(error! > 0 && error! < 1e-4, `off by ${error}`);
      }
      assertEquals(results.length, 2);
    }
    await Promise.all([ours.close(), torch.close()]);
  },
});
