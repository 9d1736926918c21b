/** The hash of a tuned choice covers the whole source of all candidate kernels. */
import { readdir } from "node:fs/promises";
import fc from "fast-check";
import { createDryGpu } from "../../../src/gpu/dry_gpu.ts";
import type { GpuInfo } from "../../../src/gpu/gpu_info.ts";
import type { Kernel } from "../../../src/gpu/pipelines.ts";
import {
  type Dimensions,
  type TunableOperator,
  tunableOperators,
} from "../../../src/ops/tuning/operators.ts";
import { candidatesText } from "../../../src/ops/tuning/choices.ts";
import { assert, assertEquals, assertNotEquals } from "../../support/assert/assert.ts";
import { info, sampleLengths, softwareInfo } from "../../support/tuned_choice.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read");

// Returns the text that is hashed if every kernel is replaced by `change(kernel)`.
function textWith(
  operator: TunableOperator,
  dimensions: Dimensions,
  { adapter = info, change }: {
    readonly adapter?: GpuInfo;
    readonly change: (kernel: Kernel) => Kernel;
  },
): string {
  using dry = createDryGpu(adapter);
  const { pipelines } = dry;
  const prepare = pipelines.prepare.bind(pipelines);
  pipelines.prepare = (kernel) => prepare(change(kernel));
  return candidatesText(dry, operator, dimensions);
}

// Every distinct kernel that the hash covers.
function kernelsOf(
  operator: TunableOperator,
  dimensions: Dimensions,
  adapter: GpuInfo = info,
): Kernel[] {
  const kernels = new Map<string, Kernel>();
  textWith(operator, dimensions, {
    adapter,
    change(kernel) {
      kernels.set(JSON.stringify(kernel), kernel);
      return kernel;
    },
  });
  return [...kernels.values()];
}

// A function that replaces one kernel and returns every other unchanged.
function toOne(kernel: Kernel, changed: Kernel): (each: Kernel) => Kernel {
  const text = JSON.stringify(kernel);
  return (each) => JSON.stringify(each) === text ? changed : each;
}

function otherValue(value: number | boolean | string): number | boolean | string {
  if (typeof value === "number") return value + 1;
  return typeof value === "boolean" ? !value : "u32";
}

Deno.test("candidatesHash() changes with any character of any kernel but a comment's", () => {
  let comments = 0;
  for (const [name, operator] of tunableOperators) {
    const dimensions = sampleLengths(name);
    const before = textWith(operator, dimensions, { change: (kernel) => kernel });
    const cases = kernelsOf(operator, dimensions)
      .flatMap((kernel) => kernel.parts.map((_, part) => ({ kernel, part })));
    assert(cases.length >= 2, name);
    const drawn = fc.record({
      place: fc.constantFrom(...cases),
      share: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    });
    fc.assert(
      fc.property(drawn, ({ place: { kernel, part }, share }) => {
        let inComment = false;
        const parts = kernel.parts.map(({ file, source }, i) => {
          if (i !== part) return { file, source };
          // specialize() replaces the declarations of constants. An edit inside such a declaration
          // makes it throw, which also counts as noticed.
          const at = Math.floor(share * source.length);
          inComment = source.slice(source.lastIndexOf("\n", at - 1) + 1, at).includes("//");
          return { file, source: `${source.slice(0, at)}~${source.slice(at)}` };
        });
        let after: string;
        try {
          after = textWith(operator, dimensions, { change: toOne(kernel, { ...kernel, parts }) });
        } catch (error) {
          assert(error instanceof TypeError && error.message.includes("Cannot specialize"));
          return;
        }
        const changed = after !== before;
        assertEquals(changed, !inComment, parts[part]!.file);
        if (inComment) comments++;
      }),
      { seed: 7, numRuns: 40 },
    );
  }
  assert(comments > 0, "no comment was changed");
});

Deno.test("candidatesHash() changes with any constant, and with the language features", () => {
  let constants = 0;
  for (const [name, operator] of tunableOperators) {
    const dimensions = sampleLengths(name);
    const before = textWith(operator, dimensions, { change: (kernel) => kernel });
    for (const kernel of kernelsOf(operator, dimensions)) {
      for (const [constant, value] of Object.entries(kernel.constants ?? {})) {
        const changed = { ...kernel.constants, [constant]: otherValue(value) };
        const change = toOne(kernel, { ...kernel, constants: changed });
        const where = `${kernel.parts.at(-1)!.file} ${constant}`;
        assertNotEquals(textWith(operator, dimensions, { change }), before, where);
        constants++;
      }
      const change = toOne(kernel, { ...kernel, features: [...kernel.features ?? [], "f16"] });
      assertNotEquals(textWith(operator, dimensions, { change }), before);
    }
  }
  assert(constants >= 10, `${constants} constants`);
});

const narrow = { ...softwareInfo, subgroupSize: { minimum: 4, maximum: 4 } };
const roomy = { ...info, vendor: "nvidia" }; // computes key and value gradients in one kernel
const adapters = [info, softwareInfo, narrow, roomy];

Deno.test("candidatesHash() covers the kernels of calls with V-scale and with learned sinks", () => {
  let planned = 0;
  for (const [name, operator] of tunableOperators) {
    if (!name.startsWith("attention")) continue;
    for (const adapter of adapters) {
      for (const T of [128, 512]) {
        const dimensions = { ...sampleLengths(name), T };
        const hashed = new Set(
          kernelsOf(operator, dimensions, adapter).map((kernel) => JSON.stringify(kernel)),
        );
        using dry = createDryGpu(adapter);
        const { pipelines } = dry;
        const prepare = pipelines.prepare.bind(pipelines);
        let call = "";
        pipelines.prepare = (kernel) => {
          assert(hashed.has(JSON.stringify(kernel)), `${call}: ${kernel.parts.at(-1)!.file}`);
          planned++;
          return prepare(kernel);
        };
        for (const variant of operator.variants) {
          if (operator.unfit(dry, dimensions, variant) !== undefined) continue;
          for (const extras of [{ vScale: 1 }, { sink: 1 }, { vScale: 1, sink: 1 }]) {
            call = `${name} ${variant} T=${T} ${JSON.stringify(extras)}`;
            operator.plan(dry, { ...dimensions, ...extras }, variant).dispose();
          }
        }
      }
    }
  }
  assert(planned > 500, `${planned} kernels`);
});

test("candidatesHash() covers every kernel file that tuning chooses from", async () => {
  const folder = new URL("../../../kernels/", import.meta.url);
  const files = (await readdir(folder, { recursive: true }))
    .filter((name) => /^(attention|rms_norm|v_scale|matmul)\/.*\.wgsl(\.ts)?$/.test(name))
    // Operators with a single kernel need no tuning.
    .filter((name) => !/sink_statistics|learned_constant/.test(name))
    // attentionBackward's option `precise` and a gradient of logSumExp need more kernels. These
    // are the same for every variant, and the tuner's calls need neither. The kernel for a learned
    // sink's share of attention belongs to the sink statistics, which have no variants.
    .filter((name) => !/sink\/share|precise\/|log_sum_exp/.test(name));
  const hashed = new Set<string>();
  for (const [name, operator] of tunableOperators) {
    // Lengths that need other kernels than `sampleLengths` does. For RMSNorm these are rows that a
    // kernel reads one number at a time instead of four, and long rows. For the matrix product they
    // are large sides, with no operand transposed. For attention they are more rows per head.
    const others = name.startsWith("rmsNorm")
      ? [{ rows: 64, d: 95 }, { rows: 64, d: 8192 }]
      : name === "matmul"
      ? [{ B: 1, M: 1024, N: 1024, K: 1024, transposeLeft: 0, transposeRight: 0 }]
      : name.startsWith("attention")
      ? [{ ...sampleLengths(name), T: 512 }]
      : [];
    const lengths = [sampleLengths(name), ...others];
    for (const adapter of adapters) {
      for (const dimensions of lengths) {
        for (const { parts } of kernelsOf(operator, dimensions, adapter)) {
          for (const { file } of parts) hashed.add(file);
        }
      }
    }
  }
  assertEquals(files.filter((name) => !hashed.has(name)), []);
});

Deno.test("tunableOperators hash calls of the same shape class, which fit the same variants", () => {
  const lengths = [1, 4, 5, 63, 64, 96, 256, 1000, 4096, 2 ** 15];
  let compared = 0;
  for (const [name, operator] of tunableOperators) {
    for (const adapter of [info, softwareInfo]) {
      using gpu = createDryGpu(adapter);
      for (const first of lengths) {
        for (const second of lengths) {
          const sample = sampleLengths(name);
          const dimensions = "rows" in sample
            ? { rows: first, d: second }
            : "M" in sample
            ? { ...sample, M: first, N: second, K: second }
            : { ...sample, T: first, D: Math.min(256, 4 * Math.ceil(second / 4)) };
          const [call] = operator.kernelCalls(dimensions);
          assertEquals(operator.shapeClass(call!), operator.shapeClass(dimensions));
          for (const variant of operator.variants) {
            if (operator.unfit(gpu, dimensions, variant) !== undefined) continue;
            compared++;
            const where = `${name} ${JSON.stringify(dimensions)} ${variant}`;
            assertEquals(operator.unfit(gpu, call!, variant), undefined, where);
          }
        }
      }
    }
  }
  assert(compared > 1000, `${compared} variants`);
});
