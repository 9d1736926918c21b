/**
 * The operators that only a model needs agree with the float64 twin. Bounds as in tests/support/tolerance.ts: the
 * rounding errors that the WGSL specification allows, along the kernels' chains of operations.
 */
import {
  absoluteMaximumOf,
  drawTokens,
  drawUniform,
  elementwise,
  type ModelNumbers,
  oddShapes,
} from "../model_cases.ts";
import {
  accumulate,
  add,
  crossEntropyBackward,
  crossEntropyForward,
  embeddingBackward,
  embeddingForward,
  embeddingOrder,
  fakeQuantize,
  type Gpu,
  learnedConstantBackward,
  learnedConstantForward,
  mergeHeads,
  mergeProjections,
  planAbsoluteMaximum,
  planAdamW,
  planCopy,
  planGradientNorm,
  rotaryAngles,
  splitHeads,
  splitProjections,
  sum,
  swigluBackward,
  swigluForward,
  type Tensor,
} from "../../../mod.ts";
import * as parts from "../../../src/reference/llama_parts.ts";
import { toTwin } from "../attention_cases.ts";
import { guardGpu } from "../guards.ts";
import { Arena } from "../on_gpu.ts";
import { type Report, Tally } from "../report.ts";
import { FLUSH, U } from "../tolerance.ts";

/** Runs a case with an arena and a tally, and reports. */
async function account(
  gpu: Gpu,
  name: string,
  check: (arena: Arena, tally: Tally) => AsyncGenerator<void>,
): Promise<Report> {
  const tally = new Tally();
  let cases = 0;
  using arena = new Arena(gpu);
  for await (const _ of check(arena, tally)) cases++;
  await gpu.sync();
  return tally.report(name, cases);
}

async function numbersOf(arena: Arena, tensor: Tensor): Promise<Float32Array> {
  return await arena.keep(tensor).read();
}

/** Embedding copies rows, and its gradient adds up those of a token. */
export function embeddingMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "embedding vs twin", async function* (arena, tally) {
    for (const [columns, vocabulary, places] of [[12, 5, 69], [7, 40, 33], [4, 1, 3]] as const) {
      const tokens = drawTokens({ seed: columns, length: places, vocabulary });
      const table = drawUniform({ seed: 1, shape: [vocabulary, columns] });
      const outputGradient = drawUniform({ seed: 2, shape: [places, columns] });
      const { order, starts } = embeddingOrder(tokens, vocabulary);
      const { output } = embeddingForward(gpu, {
        tokens: arena.upload({ data: Float32Array.from(tokens), shape: [places] }),
        table: arena.upload(table),
      });
      tally.sameBits("embeddingForward", {
        actual: await numbersOf(arena, output),
        expected: parts.embed(toTwin(table), tokens).data,
      });
      const { tableGradient } = embeddingBackward(gpu, {
        order: arena.upload({ data: order, shape: [places] }),
        starts: arena.upload({ data: starts, shape: [vocabulary + 1] }),
        outputGradient: arena.upload(outputGradient),
      });
      const sums = [outputGradient, elementwise(outputGradient, Math.abs)].map((numbers) => {
        const total = toTwin({ data: new Float32Array(vocabulary * columns), shape: table.shape });
        parts.embedBackward(total, { tokens, outputGradient: toTwin(numbers) });
        return total.data;
      }) as [Float64Array, Float64Array];
      tally.within("embeddingBackward", {
        actual: await numbersOf(arena, tableGradient),
        expected: sums[0],
        bound: sums[1].map((size) => places * U * size),
      });
      yield;
    }
  });
}

/** splitHeads and mergeHeads move every number to its place. */
export function headsMatchTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "splitHeads and mergeHeads vs twin", async function* (arena, tally) {
    for (const [batch, heads, context, headDim] of [[2, 3, 11, 8], [1, 2, 5, 4]] as const) {
      const rows = drawUniform({ seed: heads, shape: [batch, context, heads * headDim] });
      const layout = { batch, heads, context, headDim, ropeBase: undefined };
      const { output } = splitHeads(gpu, { input: arena.upload(rows), heads });
      tally.sameBits("splitHeads", {
        actual: await numbersOf(arena, output),
        expected: parts.splitHeads(toTwin(rows), layout).data,
      });
      const input = { data: rows.data, shape: [batch, heads, context, headDim] };
      const merged = mergeHeads(gpu, { input: arena.upload(input) });
      tally.sameBits("mergeHeads", {
        actual: await numbersOf(arena, merged.output),
        expected: parts.mergeHeads(toTwin(input), layout).data,
      });
      yield;
    }
  });
}

/** splitProjections turns and moves, and mergeProjections brings back. */
export function projectionsMatchTwin(gpu: Gpu): Promise<Report> {
  return account(
    gpu,
    "splitProjections and mergeProjections vs twin",
    async function* (arena, tally) {
      for (
        const { batch, context, queryHeads, keyValueHeads, headDim, ropeBase } of [
          { batch: 2, context: 9, queryHeads: 4, keyValueHeads: 2, headDim: 16, ropeBase: 10_000 },
          { batch: 1, context: 67, queryHeads: 3, keyValueHeads: 1, headDim: 4, ropeBase: 50 },
        ]
      ) {
        const heads = queryHeads + 2 * keyValueHeads;
        const shape = [batch, context, heads * headDim];
        const projections = drawUniform({ seed: headDim, shape });
        const angles = arena.upload({
          data: rotaryAngles({ sequenceLength: context, headDim, base: ropeBase }),
          shape: [context, headDim],
        });
        const split = splitProjections(gpu, {
          projections: arena.upload(projections),
          queryHeads,
          keyValueHeads,
          angles,
        });
        const own = {
          query: { first: 0, heads: queryHeads, turned: true },
          key: { first: queryHeads, heads: keyValueHeads, turned: true },
          value: { first: queryHeads + keyValueHeads, heads: keyValueHeads, turned: false },
        };
        const gradients: Record<string, ModelNumbers> = {};
        for (const [name, { first, heads: count, turned }] of Object.entries(own)) {
          const cut = cutHeads(projections, { first, count, headDim, heads });
          const layout = {
            batch,
            context,
            heads: count,
            headDim,
            ropeBase: turned ? ropeBase : undefined,
          };
          const expected = parts.splitHeads(toTwin(cut), layout).data;
          const actual = await numbersOf(arena, split[name as keyof typeof own]);
          if (turned) {
            // Numbers are below 1: each product, their sum, and the table are off by U at most.
            tally.within(`splitProjections' ${name}`, {
              actual,
              expected,
              bound: expected.map(() => 6 * U),
            });
          } else tally.sameBits(`splitProjections' ${name}`, { actual, expected });
          gradients[name] = {
            data: actual as Float32Array<ArrayBuffer>,
            shape: [batch, count, context, headDim],
          };
        }
        const { projectionsGradient } = mergeProjections(gpu, {
          queryGradient: arena.upload(gradients.query!),
          keyGradient: arena.upload(gradients.key!),
          valueGradient: arena.upload(gradients.value!),
          angles,
        });
        tally.within("mergeProjections brings back what splitProjections was given", {
          actual: await numbersOf(arena, projectionsGradient),
          expected: projections.data,
          bound: new Float64Array(projections.data.length).fill(16 * U),
        });
        yield;
      }
    },
  );
}

function cutHeads(
  { data, shape }: ModelNumbers,
  { first, count, headDim, heads }: {
    readonly first: number;
    readonly count: number;
    readonly headDim: number;
    readonly heads: number;
  },
): ModelNumbers {
  const rows = data.length / (heads * headDim);
  const cut = new Float32Array(rows * count * headDim);
  for (let row = 0; row < rows; row++) {
    const start = (row * heads + first) * headDim;
    cut.set(data.subarray(start, start + count * headDim), row * count * headDim);
  }
  return { data: cut, shape: [...shape.slice(0, -1), count * headDim] };
}

/** SwiGLU forward and backward, also where the logistic function saturates. */
export function swigluMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "swiglu vs twin", async function* (arena, tally) {
    for (const [rows, columns, scale] of [[13, 20, 4], [9, 7, 30], [3, 4, 300]] as const) {
      const projections = drawUniform({ seed: rows, shape: [rows, 2 * columns], scale });
      const hiddenGradient = drawUniform({ seed: 2, shape: [rows, columns] });
      const half = (first: number): ModelNumbers =>
        cutHeads(projections, { first, count: 1, headDim: columns, heads: 2 });
      const twin = { gate: toTwin(half(0)), up: toTwin(half(1)) };
      const { hidden } = swigluForward(gpu, { projections: arena.upload(projections) });
      // σ: an exponential, a sum and a division; then two products.
      const relative = (g: number) => U * (2 * (3 + 2 * Math.abs(g)) + 10);
      const expected = parts.swigluForward(twin).data;
      tally.within("swigluForward", {
        actual: await numbersOf(arena, hidden),
        expected,
        bound: expected.map((x, i) =>
          relative(twin.gate.data[i]!) * Math.abs(x) + scale ** 2 * FLUSH
        ),
      });
      const { projectionsGradient } = swigluBackward(gpu, {
        projections: arena.upload(projections),
        hiddenGradient: arena.upload(hiddenGradient),
      });
      const gradients = parts.swigluBackward({ ...twin, outputGradient: toTwin(hiddenGradient) });
      const all = await numbersOf(arena, projectionsGradient);
      const actual = (first: number) =>
        cutHeads({ data: all as Float32Array<ArrayBuffer>, shape: projections.shape }, {
          first,
          count: 1,
          headDim: columns,
          heads: 2,
        }).data;
      tally.within("swigluBackward's gate", {
        actual: actual(0),
        expected: gradients.gateGradient.data,
        bound: gradients.gateGradient.data.map((_, i) => {
          const [g, u, h] = [twin.gate.data[i]!, twin.up.data[i]!, hiddenGradient.data[i]!];
          const s = 1 / (1 + Math.exp(-g));
          // 1 − s is off by what s is, and g multiplies it.
          return Math.abs(h * u) * s * (1 + Math.abs(g)) * (relative(g) + 4 * U) +
            1e3 * scale ** 2 * FLUSH;
        }),
      });
      tally.within("swigluBackward's up", {
        actual: actual(1),
        expected: gradients.upGradient.data,
        bound: gradients.upGradient.data.map((x, i) =>
          relative(twin.gate.data[i]!) * Math.abs(x) + scale ** 2 * FLUSH
        ),
      });
      yield;
    }
  });
}

/** Cross-entropy forward and backward; the second case's logits overflow exp where the maximum is not subtracted. */
export function crossEntropyMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "crossEntropy vs twin", async function* (arena, tally) {
    for (const [rows, columns, scale] of [[11, 70, 3], [5, 9, 2000], [9, 300, 10]] as const) {
      const logits = drawUniform({ seed: rows, shape: [rows, columns], scale });
      logits.data[columns + 3] = 1.5 * scale; // a quad's last column
      const targets = drawTokens({ seed: 3, length: rows, vocabulary: columns });
      targets[0] = columns - 1;
      const options = {
        logits: arena.upload(logits),
        targets: arena.upload({ data: Float32Array.from(targets), shape: [rows] }),
      };
      const { loss, logSumExp } = crossEntropyForward(gpu, options);
      const expected = Array.from({ length: rows }, (_, row) => {
        const z = Float64Array.from(logits.data.subarray(row * columns, (row + 1) * columns));
        const maximum = z.reduce((a, b) => Math.max(a, b));
        const all = maximum + Math.log(z.reduce((a, b) => a + Math.exp(b - maximum), 0));
        return { all, loss: all - z[targets[row]!]! };
      });
      // The sum: its chain and the exponentials, to which terms far below the maximum add nothing; log; two differences.
      const bound = expected.map(() => U * (columns / 4 + 16 + 4 * 8 + 6 * scale) + 2 ** -21);
      tally.within("crossEntropyForward's logSumExp", {
        actual: await numbersOf(arena, logSumExp),
        expected: expected.map(({ all }) => all),
        bound,
      });
      tally.within("crossEntropyForward's loss", {
        actual: await numbersOf(arena, loss),
        expected: expected.map(({ loss }) => loss),
        bound,
      });
      const factor = 0.25;
      const given = Float32Array.from(expected, ({ all }) => all);
      const { logitsGradient } = crossEntropyBackward(gpu, {
        ...options,
        logSumExp: arena.upload({ data: given, shape: [rows] }),
        factor,
      });
      const gradient = new Float64Array(logits.data.length);
      const allowed = new Float64Array(logits.data.length);
      for (let i = 0; i < gradient.length; i++) {
        const row = Math.floor(i / columns);
        const argument = logits.data[i]! - given[row]!;
        const share = Math.exp(argument);
        gradient[i] = factor * (share - (i % columns === targets[row] ? 1 : 0));
        allowed[i] = U * factor * (share * (10 + 5 * Math.abs(argument)) + 3) + FLUSH;
      }
      tally.within("crossEntropyBackward", {
        actual: await numbersOf(arena, logitsGradient),
        expected: gradient,
        bound: allowed,
      });
      yield;
    }
  });
}

/** add, accumulate and copy have the bits of float32 sums. */
export function additionsMatchFloat32(gpu: Gpu): Promise<Report> {
  return account(gpu, "add, accumulate and copy vs float32", async function* (arena, tally) {
    for (const shape of oddShapes) {
      const [a, b, c] = [1, 2, 3].map((seed) => drawUniform({ seed, shape })) as [
        ModelNumbers,
        ModelNumbers,
        ModelNumbers,
      ];
      const two = a.data.map((x, i) => Math.fround(x + b.data[i]!));
      const terms = [a, b, c].map((numbers) => arena.upload(numbers)) as [Tensor, Tensor, Tensor];
      tally.sameBits("add of two", {
        actual: await numbersOf(arena, add(gpu, { terms: [terms[0], terms[1]] }).sum),
        expected: two,
      });
      tally.sameBits("add of three", {
        actual: await numbersOf(arena, add(gpu, { terms }).sum),
        expected: two.map((x, i) => Math.fround(x + c.data[i]!)),
      });
      accumulate(gpu, { term: terms[0], total: terms[1] });
      tally.sameBits("accumulate", { actual: await terms[1].read(), expected: two });
      const { length } = a.data;
      const copied = length - Math.floor(length / 2);
      gpu.run(
        arena.keep(
          planCopy(gpu, {
            source: terms[0],
            sourceStart: Math.floor(length / 2),
            copied: terms[2],
            copiedStart: 1 % copied,
            length: copied - 1 % copied,
          }).plan,
        ),
      );
      const expected = c.data.slice();
      const start = Math.floor(length / 2);
      expected.set(a.data.subarray(start, start + copied - 1 % copied), 1 % copied);
      tally.sameBits("copy", { actual: await terms[2].read(), expected });
      yield;
    }
  });
}

/** sum and the gradients' norm add up everything, over several runs of elements too. */
export function sumsMatchTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "sum and gradientNorm vs twin", async function* (arena, tally) {
    for (const lengths of [[1], [200, 3], [4097, 4096, 70]]) {
      const drawn = lengths.map((length, seed) =>
        drawUniform({ seed, shape: [length], mean: 0.3 })
      );
      const tensors = drawn.map((numbers) => arena.upload(numbers));
      const first = drawn[0]!.data;
      tally.within("sum", {
        actual: await numbersOf(arena, sum(gpu, { input: tensors[0]!, factor: 0.5 }).total),
        expected: [0.5 * first.reduce((total, x) => total + x, 0)],
        bound: [U * (first.length / 64 + 66) * first.reduce((total, x) => total + Math.abs(x), 0)],
      });
      let squares = 0;
      for (const { data } of drawn) for (const x of data) squares += x * x;
      const norm = Math.sqrt(squares);
      for (const maximum of [0.5 * norm, 2 * norm]) {
        const { plan, clipping } = planGradientNorm(gpu, { gradients: tensors, maximum });
        gpu.run(arena.keep(plan));
        tally.within("gradientNorm", {
          actual: await numbersOf(arena, clipping),
          expected: [norm, Math.min(1, maximum / norm)],
          bound: [300 * U * norm, 300 * U],
        });
      }
      yield;
    }
  });
}

/** AdamW's steps, with clipping, and with and without weight decay. */
export function adamWMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "adamW vs twin", async function* (arena, tally) {
    for (const [shape, weightDecay] of [[[6, 4], 0.1], [[71], 0]] as const) {
      // Numbers of float32, so that 1 − β is the same on both sides.
      const [beta1, beta2, epsilon] = [0.9, 0.95, 1e-8].map(Math.fround) as [
        number,
        number,
        number,
      ];
      const start = drawUniform({ seed: 4, shape });
      const parameter = arena.upload(start);
      const zeros = () => arena.keep(gpu.tensor(new Float32Array(start.data.length), shape));
      const [firstMoment, secondMoment] = [zeros(), zeros()];
      const gradient = arena.keep(gpu.empty(shape));
      const step = arena.keep(gpu.empty([3]));
      const clipping = arena.keep(gpu.tensor([2, 0.5], [2]));
      const { plan } = planAdamW(gpu, {
        parameter,
        gradient,
        firstMoment,
        secondMoment,
        step,
        clipping,
        beta1,
        beta2,
        epsilon,
        weightDecay,
      });
      arena.keep(plan);
      const p = Float64Array.from(start.data);
      const m = new Float64Array(p.length), v = new Float64Array(p.length);
      for (let t = 1; t <= 3; t++) {
        const rate = Math.fround(0.01 * t);
        const corrections = [1 / (1 - beta1 ** t), 1 / (1 - beta2 ** t)];
        const drawn = drawUniform({ seed: 10 + t, shape });
        gradient.write(drawn.data);
        step.write(Float32Array.of(rate, ...corrections));
        gpu.run(plan);
        for (let i = 0; i < p.length; i++) {
          const g = 0.5 * drawn.data[i]!;
          m[i] = beta1 * m[i]! + (1 - beta1) * g;
          v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
          const update = m[i]! * corrections[0]! / (Math.sqrt(v[i]! * corrections[1]!) + epsilon);
          p[i] = p[i]! - rate * weightDecay * p[i]! - rate * update;
        }
      }
      // Three steps of a dozen operations; an update is below √20, a parameter below 1 and a moment below 1.
      tally.within("adamW's parameter", {
        actual: await parameter.read(),
        expected: p,
        bound: p.map((x) => 3 * U * (2 * Math.abs(x) + 0.06 * 5 * 20)),
      });
      for (
        const [name, tensor, moment] of [["first", firstMoment, m], [
          "second",
          secondMoment,
          v,
        ]] as const
      ) {
        tally.within(`adamW's ${name} moment`, {
          actual: await tensor.read(),
          expected: moment,
          bound: moment.map(() => 6 * U * 0.5),
        });
      }
      yield;
    }
  });
}

/** V-scale's constant from θ, and back. */
export function learnedConstantMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "learnedConstant vs twin", async function* (arena, tally) {
    for (const heads of [3, 67]) {
      const theta = drawUniform({ seed: heads, shape: [heads], scale: 3 });
      const constantGradient = drawUniform({ seed: 1, shape: [heads] });
      const base = Math.fround(1.64);
      const { constant } = learnedConstantForward(gpu, { theta: arena.upload(theta), base });
      const actual = await numbersOf(arena, constant);
      const expected = Float64Array.from(theta.data, (x) => base * Math.exp(x));
      tally.within("learnedConstantForward", {
        actual,
        expected,
        bound: expected.map((c, i) => U * (2 * (3 + 2 * Math.abs(theta.data[i]!)) + 1) * c),
      });
      const { thetaGradient } = learnedConstantBackward(gpu, {
        constant: arena.upload({ data: actual as Float32Array<ArrayBuffer>, shape: [heads] }),
        constantGradient: arena.upload(constantGradient),
      });
      tally.sameBits("learnedConstantBackward", {
        actual: await numbersOf(arena, thetaGradient),
        expected: actual.map((c, i) => Math.fround(c * constantGradient.data[i]!)),
      });
      yield;
    }
  });
}

/** Numbers through INT8 are multiples of the scale, the nearest ones, and within ±127 of it. */
export function fakeQuantizeMatchesTwin(gpu: Gpu): Promise<Report> {
  return account(gpu, "fakeQuantize vs twin", async function* (arena, tally) {
    for (const [rows, columns, given] of [[9, 70, undefined], [5, 7, 0.6], [3, 5, 0]] as const) {
      const input = drawUniform({ seed: columns, shape: [rows, columns] });
      // Halves under a scale of 1: rounded to even.
      if (given === undefined) input.data.set([127, 2.5, 3.5, -0.5, -1.5, 0]);
      const uploaded = arena.upload(input);
      const maximum = given === undefined ? undefined : arena.keep(gpu.tensor([given], [1]));
      const { output } = fakeQuantize(gpu, {
        input: uploaded,
        ...maximum === undefined ? {} : { maximum },
      });
      const actual = await numbersOf(arena, output);
      const expected = new Float64Array(actual.length);
      const bound = new Float64Array(actual.length);
      for (let i = 0; i < actual.length; i++) {
        const row = input.data.subarray(
          columns * Math.floor(i / columns),
          columns * Math.floor(i / columns) + columns,
        );
        const scale = (given ?? absoluteMaximumOf(row)) / 127;
        const whole = scale === 0 ? 0 : input.data[i]! / scale;
        expected[i] = scale * Math.max(-127, Math.min(127, roundHalfToEven(whole)));
        // Within 20 U of a half, other than the exact ones, either neighbour will do.
        const fraction = Math.abs(whole - Math.trunc(whole));
        const torn = Math.abs(fraction - 0.5) < 20 * U * 127 && fraction !== 0.5;
        bound[i] = torn ? 1.01 * scale : 8 * U * Math.abs(expected[i]!);
      }
      tally.within("fakeQuantize", { actual, expected, bound });
      const { plan, maximum: found } = planAbsoluteMaximum(gpu, { input: uploaded });
      arena.keep(found);
      gpu.run(arena.keep(plan));
      tally.sameBits("absoluteMaximum", {
        actual: await found.read(),
        expected: [absoluteMaximumOf(input.data)],
      });
      found.write(Float32Array.of(1000));
      gpu.run(plan);
      tally.sameBits("absoluteMaximum after a larger one", {
        actual: await found.read(),
        expected: [1000],
      });
      yield;
    }
  });
}

function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Where every buffer is longer than the tensor in it and full of NaN, the operators agree with the twin all the same, and
 * the surplus keeps its bits.
 */
export async function modelOperatorsStayInBounds(gpu: Gpu): Promise<Report> {
  const within = guardGpu(gpu);
  // What the properties free is looked at first.
  const free = within.gpu.free.bind(within.gpu);
  const freed: GPUBuffer[] = [];
  within.gpu.free = (buffer) => void freed.push(buffer);
  const tally = new Tally();
  const all = [
    embeddingMatchesTwin,
    headsMatchTwin,
    projectionsMatchTwin,
    swigluMatchesTwin,
    crossEntropyMatchesTwin,
    additionsMatchFloat32,
    sumsMatchTwin,
    adamWMatchesTwin,
    learnedConstantMatchesTwin,
    fakeQuantizeMatchesTwin,
  ];
  for (const property of all) {
    await property(within.gpu);
    tally.count(await within.check());
    for (const buffer of freed.splice(0)) free(buffer);
  }
  return tally.report("a model's operators stay in bounds", all.length);
}
