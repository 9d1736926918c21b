import {
  type Gpu,
  planRmsNormBackward,
  planRmsNormForward,
  planVScaleBackward,
  planVScaleForward,
  rmsNormBackward,
  rmsNormForward,
  vScaleForward,
} from "../../../../mod.ts";
import { assert } from "../../assert/assert.ts";
import { toFloat32, toTwin } from "../../attention/cases.ts";
import { propertyOf } from "../../check_cases.ts";
import { type Numbers, onGpu, onGpuPlanned } from "../../on_gpu.ts";
import type { Tally } from "../../report.ts";
import { drawRmsNorm, type RmsNormCase, rmsNormDescription } from "../../rows/cases.ts";
import { rmsNorm, vScale } from "./passes.ts";

/**
 * Repeated calls, and repeated runs of a plan, give the same bits. Plans overwrite outputs that
 * hold NaN. A NaN in a row makes all of the row's results NaN. Neither a NaN nor an infinity
 * changes a bit of another row, or of another column of gainGradient.
 */
export const rowsKeepToThemselves = propertyOf({
  name: "RMSNorm and V-scale repeat themselves and keep rows apart",
  arbitrary: rmsNormDescription.filter(({ columns }) => columns <= 130),
  examples: [{ rows: 37, columns: 70, seed: 85, pattern: "normal" as const }],
  seed: 755,
  runs: 2,
  async check({ rows, columns, seed }, tally, gpu) {
    const drawn = drawRmsNorm({ rows, columns, seed, pattern: "normal" });
    const { input, gain, outputGradient } = drawn;
    const shape = [1, 1, rows, columns];
    const norm = await rmsNorm(gpu, drawn);
    const valve = {
      value: { data: input.data, shape },
      constant: { data: Float32Array.of(columns), shape: [1] },
      scaledValueGradient: { data: outputGradient.data, shape },
    };
    const { inverseRms } = norm;
    const backwards = async (input: Numbers, outputGradient: Numbers, runs: number) => {
      const norm = { input, gain, inverseRms, outputGradient };
      const { constant } = valve;
      const value = { data: input.data, shape };
      const scaled = { value, constant, scaledValueGradient: { data: outputGradient.data, shape } };
      return {
        backward: await onGpuPlanned(gpu, planRmsNormBackward, { args: norm, runs }),
        valveBackward: await onGpuPlanned(gpu, planVScaleBackward, { args: scaled, runs }),
      };
    };
    const plans = async (input: Numbers, outputGradient: Numbers, runs: number) => {
      const args = { value: { data: input.data, shape }, constant: valve.constant };
      return {
        forward: await onGpuPlanned(gpu, planRmsNormForward, { args: { input, gain }, runs }),
        valveForward: await onGpuPlanned(gpu, planVScaleForward, { args, runs }),
        ...await backwards(input, outputGradient, runs),
      };
    };
    const clean = await plans(input, outputGradient, 2);
    const once: Record<string, Record<string, Numbers>> = {
      forward: { output: norm.output, inverseRms: norm.inverseRms },
      backward: { inputGradient: norm.inputGradient, gainGradient: norm.gainGradient },
      valveForward: await onGpu(gpu, vScaleForward, valve),
      valveBackward: await vScale(gpu, valve),
    };
    for (const [pass, runs] of Object.entries(clean)) {
      for (const run of runs as Record<string, Numbers>[]) {
        for (const [name, numbers] of Object.entries(run)) {
          const expected = once[pass]![name]!.data;
          tally.sameBits(`${pass}'s ${name}`, { actual: numbers.data, expected });
          assert(numbers.data.every(Number.isFinite), `${name} has elements that were not written`);
        }
      }
    }
    const row = seed % rows, column = seed % columns;
    for (const bad of [NaN, -Infinity]) {
      for (const spoiled of ["input", "outputGradient"] as const) {
        const data = { input: input.data.slice(), outputGradient: outputGradient.data.slice() };
        data[spoiled][row * columns + column] = bad;
        // Only the backward passes read the output's gradient.
        const passes = spoiled === "input" ? plans : backwards;
        const dirty = await passes(
          { data: data.input, shape: input.shape },
          { data: data.outputGradient, shape: input.shape },
          1,
        );
        const nan = Number.isNaN(bad);
        checkSpoiled(tally, { clean, dirty, row, columns, spoiled, nan });
        checkSums(tally, { clean, dirty, column, nan });
      }
    }
    await checkSpoiledRest(gpu, tally, { drawn, inverseRms, row, column });
  },
});

type Plans = Readonly<Record<string, readonly unknown[]>>;

function checkSpoiled(
  tally: Tally,
  { clean, dirty, row, columns, spoiled, nan }: {
    readonly clean: Plans;
    readonly dirty: Plans;
    readonly row: number;
    readonly columns: number;
    readonly spoiled: "input" | "outputGradient";
    readonly nan: boolean;
  },
): void {
  for (const [pass, runs] of Object.entries(dirty)) {
    const before = clean[pass]![0] as Record<string, Numbers>;
    for (const [name, { data }] of Object.entries(runs[0] as Record<string, Numbers>)) {
      if (name === "gainGradient" || name === "constantGradient") continue;
      const width = name === "inverseRms" ? 1 : columns;
      const own = (_: number, i: number) => Math.floor(i / width) === row;
      const what = `${pass}'s ${name} beside a spoiled ${spoiled}`;
      const others = before[name]!.data.filter((x, i) => !own(x, i));
      if (others.length > 0) {
        tally.sameBits(what, { actual: data.filter((x, i) => !own(x, i)), expected: others });
      }
      const reached = spoiled === "input" || pass.toLowerCase().includes("backward");
      if (nan && reached) {
        assert(data.filter(own).every((x) => Number.isNaN(x)), `${what}: the NaN did not arrive`);
      }
      tally.count(width);
    }
  }
}

// Checks the sums over rows. A spoiled element must change no column of gainGradient but its own. A
// NaN must reach this column, and constantGradient, a sum over all rows and columns of the head.
function checkSums(
  tally: Tally,
  { clean, dirty, column, nan }: {
    readonly clean: Plans;
    readonly dirty: Plans;
    readonly column: number;
    readonly nan: boolean;
  },
): void {
  const [gains, constants] = [["backward", "gainGradient"], ["valveBackward", "constantGradient"]]
    .map(([pass, name]) =>
      [clean, dirty].map((plans) => (plans[pass!]![0] as Record<string, Numbers>)[name!]!.data)
    );
  const others = ([...numbers]: Iterable<number>) => numbers.toSpliced(column, 1);
  tally.sameBits("gainGradient beside a spoiled column", {
    actual: others(gains![1]!),
    expected: others(gains![0]!),
  });
  if (!nan) return;
  assert(Number.isNaN(gains![1]![column]), "gainGradient lost a NaN");
  assert(Number.isNaN(constants![1]![0]), "constantGradient lost a NaN");
}

// Checks NaN in RMSNorm's other inputs. A NaN in gain must reach its own column of the output, and
// no other column. A NaN in inverseRms must reach its own row of inputGradient, no other row, and
// all of gainGradient.
async function checkSpoiledRest(
  gpu: Gpu,
  tally: Tally,
  { drawn, inverseRms, row, column }: {
    readonly drawn: RmsNormCase;
    readonly inverseRms: Numbers;
    readonly row: number;
    readonly column: number;
  },
): Promise<void> {
  const { input, gain, outputGradient } = drawn;
  const columns = gain.data.length;
  const spoil = ({ data, shape }: Numbers, i: number): Numbers => ({
    data: data.map((x, at) => at === i ? NaN : x),
    shape,
  });
  const nans = (numbers: Numbers) =>
    toFloat32(toTwin(numbers)).data.map((x) => Number(Number.isNaN(x)));
  const forward = await onGpu(gpu, rmsNormForward, { input, gain: spoil(gain, column) });
  tally.sameBits("NaNs of output", {
    actual: nans(forward.output),
    expected: input.data.map((_, i) => Number(i % columns === column)),
  });
  const spoiled = { input, gain, inverseRms: spoil(inverseRms, row), outputGradient };
  const backward = await onGpu(gpu, rmsNormBackward, spoiled);
  tally.sameBits("NaNs of inputGradient", {
    actual: nans(backward.inputGradient),
    expected: input.data.map((_, i) => Number(Math.floor(i / columns) === row)),
  });
  assert(backward.gainGradient.data.every((x) => Number.isNaN(x)), "gainGradient lost a NaN");
}
