/**
 * Every operator takes slices as arguments and refuses to write memory that overlaps another
 * argument. A tensor's values are unknown to the CPU once the GPU has overwritten them.
 */
import * as gradsink from "../../mod.ts";
import type { Gpu, Tensor } from "../../mod.ts";
import { assert, assertEquals, assertThrows } from "../support/assert/assert.ts";
import { onEachRuntime } from "../support/gpu.ts";
import { measuredCalls, measuredPlanners } from "../support/calls/measured.ts";
import { type Argument, type OperatorCall, optionsOf, otherCalls } from "../support/calls/other.ts";

Deno.test("every operator of mod.ts is called here", () => {
  const planners = Object.keys(gradsink).filter((name) => /^plan[A-Z]/.test(name));
  assert(planners.length > 25);
  const called = new Set([...measuredPlanners, ...otherCalls.map(({ plan }) => plan.name)]);
  assertEquals(planners.filter((name) => !called.has(name)), []);
});

type Arguments = Readonly<Record<string, Argument>>;

/** Uploads each argument as a separate tensor. */
function apart(gpu: Gpu, args: Arguments): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(args).map(([name, { data, shape }]) => [name, gpu.tensor(data, shape)]),
  );
}

/**
 * Uploads the arguments as slices of one tensor. Each starts `shift` elements after a multiple of
 * `alignment`.
 */
function together(
  gpu: Gpu,
  args: Arguments,
  { alignment, shift }: { readonly alignment: number; readonly shift: number },
): { readonly whole: Tensor; readonly parts: Record<string, Tensor> } {
  const starts: number[] = [];
  let end = alignment;
  for (const { data } of Object.values(args)) {
    starts.push(end + shift);
    end = Math.ceil((end + shift + data.length) / alignment) * alignment;
  }
  const all = new Float32Array(end + alignment).fill(NaN);
  Object.values(args).forEach(({ data }, i) => all.set(data, starts[i]!));
  const whole = gpu.tensor(all, [all.length]);
  const parts = Object.entries(args)
    .map(([name, { shape }], i) => [name, whole.slice(starts[i]!, shape)] as const);
  return { whole, parts: Object.fromEntries(parts) };
}

function bits(numbers: Float32Array<ArrayBuffer>): number[] {
  return [...new Uint32Array(numbers.buffer)];
}

// Runs a plan twice and reads everything it wrote: the new tensors and the given ones.
async function run(
  gpu: Gpu,
  { operator, plan, written, settings }: OperatorCall,
  tensors: Readonly<Record<string, Tensor>>,
): Promise<Record<string, number[]>> {
  const { plan: planned, ...results } = plan(gpu, optionsOf(settings, tensors));
  assertEquals(planned.operator, operator);
  gpu.run([planned, planned]);
  planned.dispose();
  const read: Record<string, number[]> = {};
  for (const name of Object.keys(written)) read[name] = bits(await tensors[name]!.read());
  for (const [name, tensor] of Object.entries(results as Record<string, Tensor>)) {
    read[name] = bits(await tensor.read());
    if (!(name in written)) tensor.dispose();
  }
  return read;
}

for (const shift of [0, 1]) {
  const where = shift === 0 ? "at bindings' alignment" : "between two bindings";
  onEachRuntime(`every operator takes slices of one tensor that begin ${where}`, async (gpu) => {
    const alignment = gpu.device.limits.minStorageBufferOffsetAlignment / 4;
    for (const call of [...await measuredCalls(gpu), ...otherCalls]) {
      const args = { ...call.inputs, ...call.written };
      const own = apart(gpu, args);
      const wanted = await run(gpu, call, own);
      const { whole, parts } = together(gpu, args, { alignment, shift });
      const got = await run(gpu, call, parts);
      assertEquals(got, wanted, `${call.operator} of ${Object.keys(args)}`);
      assert(Object.values(wanted).flat().length > 0);
      // The plan wrote nothing outside the slices.
      const after = await whole.read();
      let start = alignment;
      for (const [name, { data }] of Object.entries(args)) {
        const end = start + shift + data.length;
        const next = Math.ceil(end / alignment) * alignment;
        if (!(name in call.written)) {
          assertEquals(bits(after.slice(start + shift, end)), bits(data), `${name} was changed`);
        }
        assert([...after.subarray(start, start + shift), ...after.subarray(end, next)]
          .every(Number.isNaN));
        start = next;
      }
      for (const tensor of [...Object.values(own), whole]) tensor.dispose();
    }
  });
}

/** Checks that `act` throws, makes nothing and enqueues nothing; returns the error's message. */
function refused(gpu: Gpu, act: () => unknown): string {
  const before = gpu.memory;
  const { queue } = gpu.device;
  const { submit, writeBuffer } = queue;
  let enqueued = 0;
  queue.submit = queue.writeBuffer = () => void enqueued++;
  try {
    return assertThrows(act, TypeError).message;
  } finally {
    queue.submit = submit;
    queue.writeBuffer = writeBuffer;
    assertEquals(enqueued, 0, "something was enqueued");
    assertEquals(gpu.memory, before, "buffers were left");
  }
}

onEachRuntime("operators refuse to write memory that overlaps another argument", async (gpu) => {
  let pairs = 0;
  for (const { operator, plan, inputs, written, settings } of otherCalls) {
    const args = { ...inputs, ...written };
    for (const target of Object.keys(written)) {
      for (const other of Object.keys(args).filter((name) => name !== target)) {
        const own = apart(gpu, args);
        const [a, b] = [own[target]!, own[other]!];
        const shared = gpu.tensor(new Float32Array(a.length + b.length).fill(0.5), [
          a.length + b.length,
        ]);
        // Two slices overlap if they start together, or if one begins at the other's last element.
        const ways: readonly (readonly [number, number])[] = [
          [0, 0],
          [0, a.length - 1],
          [b.length - 1, 0],
        ];
        for (const [first, second] of ways) {
          const tensors = {
            ...own,
            [target]: shared.slice(first, a.shape),
            [other]: shared.slice(second, b.shape),
          };
          const options = optionsOf(settings, tensors);
          const message = refused(gpu, () => plan(gpu, options));
          for (const word of [`${operator}: `, target, other, `which ${operator} writes`]) {
            assert(message.includes(word), `${message} lacks ${word}`);
          }
          pairs++;
        }
        for (const tensor of [...Object.values(own), shared]) tensor.dispose();
      }
    }
  }
  assert(pairs > 60, `${pairs} pairs`);
  await gpu.sync();
});

onEachRuntime("operators may read one tensor as several arguments", async (gpu) => {
  const rows = gpu.tensor(Float32Array.from({ length: 40 }, (_, i) => Math.cos(i)), [1, 1, 5, 8]);
  const { output } = gradsink.attentionForward(gpu, { query: rows, key: rows, value: rows });
  const { sum } = gradsink.add(gpu, { terms: [rows, rows, rows] });
  assert((await output.read()).every(Number.isFinite));
  assertEquals((await sum.read())[0], 3);
  for (const tensor of [rows, output, sum]) tensor.dispose();
});

onEachRuntime(
  "tensor.uploaded holds a tensor's numbers, or is undefined where the GPU may have changed them",
  async (gpu) => {
    const tokens = gpu.tensor([9, 1], [2]);
    const table = gpu.tensor(new Float32Array(12).fill(2), [3, 4]);
    const embed = () => gradsink.planEmbeddingForward(gpu, { tokens, table });
    const planned = (act: () => { readonly plan: Disposable } & object) => {
      for (const item of Object.values(act())) (item as Disposable)[Symbol.dispose]();
    };
    assertThrows(embed, RangeError, "tokens[0] is 9");
    tokens.slice(0, [1]).write(Float32Array.of(2));
    planned(embed);
    assertEquals([...tokens.uploaded!], [2, 1]);
    tokens.slice(1, [1]).write(Float32Array.of(7));
    assertThrows(embed, RangeError, "tokens[1] is 7");
    assertEquals([...tokens.slice(1, [1]).uploaded!], [7]);

    // Once a plan has overwritten a part of a tensor, the tensor's values are unknown until the CPU
    // writes all of them again.
    const source = gpu.tensor([0], [1]);
    const copy = gradsink.planCopy(gpu, { source, copied: tokens.slice(1, [1]) });
    assertThrows(embed, RangeError, "tokens[1] is 7");
    gpu.run(copy.plan);
    assertEquals(tokens.uploaded, undefined);
    planned(embed);
    tokens.slice(1, [1]).write(Float32Array.of(1));
    assertEquals(tokens.uploaded, undefined, "a part alone does not tell the whole");
    tokens.write(Float32Array.of(5, 1));
    assertThrows(embed, RangeError, "tokens[0] is 5");

    // A caller who has a tensor's buffer or binding can change the tensor's values at any time. So
    // `uploaded` stays undefined, even after a write.
    const exposed = [
      gpu.tensor([1], [1]),
      gpu.tensor([1], [1]),
      gpu.tensor([1, 1], [2]),
    ] as const;
    assert(exposed.every(({ uploaded }) => uploaded !== undefined));
    void exposed[0].buffer;
    void exposed[1].binding;
    void exposed[2].slice(0, [1]).binding;
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    copy.plan.encode(pass);
    pass.end();
    gpu.device.queue.submit([encoder.finish()]);
    for (const tensor of [...exposed, tokens]) {
      tensor.write(new Float32Array(tensor.length));
      assertEquals(tensor.uploaded, undefined);
    }

    // V-scale's check of `constant` sees a value written through a slice, but no change to the
    // array that `uploaded` returns.
    const constant = gpu.empty([2]);
    const value = gpu.empty([1, 2, 3, 4]);
    planned(() => gradsink.planVScaleForward(gpu, { value, constant }));
    constant.write(Float32Array.of(1, 1));
    constant.uploaded![0] = -3;
    planned(() => gradsink.planVScaleForward(gpu, { value, constant }));
    constant.slice(1, [1]).write(Float32Array.of(-2));
    assertThrows(
      () => gradsink.planVScaleForward(gpu, { value, constant }),
      RangeError,
      "constant[1] is -2",
    );
    const large = gpu.tensor(new Float32Array(4097), [4097]);
    assertEquals(large.uploaded, undefined);
    for (const item of [tokens, table, source, copy.plan, ...exposed, constant, value, large]) {
      item.dispose();
    }
    await gpu.sync();
  },
);

onEachRuntime("a plan refuses to run on a freed tensor, and names it", async (gpu) => {
  const whole = gpu.tensor(new Float32Array(8), [8]);
  const term = whole.slice(0, [4]), total = gpu.tensor(new Float32Array(4), [4]);
  const { plan } = gradsink.planAccumulate(gpu, { term, total });
  term.dispose(); // frees nothing
  gpu.run(plan);
  whole.dispose();
  assertThrows(() => gpu.run(plan), TypeError, "accumulate: term has been disposed of");
  for (const item of [plan, total]) item.dispose();
  await gpu.sync();
});
