/**
 * The package's entry points: what `measure` and `self-test` export, and that the self-test stays
 * small enough for any page.
 */
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import * as measure from "../src/measure/mod.ts";
import * as selfTestModule from "../src/gpu/self_test.ts";
import { assert, assertEquals } from "./support/assert/assert.ts";
import { onEachRuntime, testGpu } from "./support/gpu.ts";
import { testWith } from "./support/permitted.ts";

Deno.test("every entry point has a module, and deno task check lints its documentation", () => {
  assertEquals(config.exports, {
    ".": "./mod.ts",
    "./measure": "./src/measure/mod.ts",
    "./self-test": "./src/gpu/self_test.ts",
  });
  const linted = config.tasks.check.command.split("deno doc --lint ")[1]!.split(" ");
  assertEquals(linted, Object.values(config.exports).map((path) => path.slice(2)));
});

Deno.test("measure and self-test export what their users import", () => {
  assertEquals(Object.keys(selfTestModule), ["selfTest"]);
  assertEquals(Object.keys(measure).sort(), [
    "GpuTimer",
    "addCustomOperator",
    "ceilingCandidates",
    "chosenVariant",
    "createWorkload",
    "measureCeilings",
    "median",
    "medianInterval",
    "namedVariantsOf",
    "operatorNames",
    "passesOf",
    "referenceKernel",
    "replacing",
    "rooflineOf",
    "rooflinePosition",
    "sampleWork",
    "scrubPlan",
    "shapeOfLengths",
    "shapesOf",
    "summarize",
    "variantsOf",
  ]);
});

/** The most bytes that the self-test may have. It has about 3,200. */
const LARGEST = 4096;

testWith("run", "read", "env")("the self-test bundles alone, in a few kilobytes", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--platform=browser",
      "--minify",
      fileURLToPath(new URL("../src/gpu/self_test.ts", import.meta.url)),
    ],
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const bundled = new TextDecoder().decode(stdout);
  assert(bundled.length > 1000 && bundled.length < LARGEST, `${bundled.length} bytes`);
  assert(!bundled.includes("Deno"), "a page has no Deno");
});

onEachRuntime(
  "selfTest() passes an adapter that openGpu accepted, and shows the evidence",
  async (gpu) => {
    const { passed, checks } = await selfTestModule.selfTest(gpu.device);
    assert(passed);
    assertEquals(checks.map(({ name }) => name), [
      "loops",
      "workgroup memory",
      "exp, sqrt and division",
    ]);
    for (const { wanted, found } of checks) assertEquals([found, found.length], [wanted, 64]);
  },
);

Deno.test("selfTest() fails a device that leaves loops early, and one that refuses", async () => {
  const { device } = await testGpu("deno");
  const broken = (change: (code: string) => string) =>
    new Proxy(device, {
      get(target, name) {
        if (name === "createShaderModule") {
          return ({ code }: GPUShaderModuleDescriptor) =>
            target.createShaderModule({ code: change(code) });
        }
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  const early = await selfTestModule.selfTest(
    broken((code) => code.replace("count += ", "if (count == 65535u) { break; } count += ")),
  );
  assertEquals([early.passed, early.checks.map(({ passed }) => passed)], [
    false,
    [false, true, true],
  ]);
  assertEquals(early.checks[0]!.fault, "a loop of 75,000 iterations ended after 65535");
  const refused = await selfTestModule.selfTest(
    broken((code) => code.replace("fn main", "fn man")),
  );
  assertEquals([refused.passed, refused.checks.map(({ name }) => name)], [false, ["runs"]]);
});
