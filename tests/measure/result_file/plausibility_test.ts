import { fileURLToPath } from "node:url";
import { checkPlausibility } from "../../../src/measure/result_file/plausibility.ts";
import { parseResultFile } from "../../../src/measure/result_file/parse.ts";
import type { Measurement, ResultFile } from "../../../src/measure/result_file.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read");

const path = fileURLToPath(new URL("../../../fixtures/lavapipe-deno.json", import.meta.url));
const now = Date.parse("2026-11-30T12:00:00Z");

function honest(): ResultFile {
  return parseResultFile(Deno.readTextFileSync(path), "lavapipe-deno.json");
}

/** A file with one changed row. */
function withRow(
  file: ResultFile,
  index: number,
  change: (row: Measurement) => Partial<Measurement>,
): ResultFile {
  return {
    ...file,
    measurements: file.measurements.map((row, i) => i === index ? { ...row, ...change(row) } : row),
  };
}

const scaled = (factor: number) => ({ samples }: Measurement) => ({
  samples: samples.map((each) => each * factor),
});

/** Forged or useless files, each with the problem that must be reported. */
function forgeries(file: ResultFile): [string, ResultFile, RegExp][] {
  const { ceilings, adapter, suite } = file;
  const cold = file.measurements.findIndex(({ cache }) => cache === "cold");
  const ceiling = (name: "f32Fma" | "copyBandwidth", factor: number): ResultFile => {
    const { value, samples = [] } = ceilings[name]!;
    return {
      ...file,
      ceilings: {
        ...ceilings,
        [name]: {
          ...ceilings[name],
          value: value * factor,
          samples: samples.map((each) => each * factor),
        },
      },
    };
  };
  return [
    [
      "a call a thousand times as fast",
      withRow(file, 0, scaled(1e-3)),
      /times the measured ceiling/,
    ],
    [
      "all samples halved and halved again",
      withRow(file, 0, scaled(0.2)),
      /arithmetic is .* ceiling/,
    ],
    ["a CPU with the arithmetic of a GPU", ceiling("f32Fma", 1000), /a software adapter on 2 proc/],
    [
      "a GPU beyond all GPUs",
      { ...ceiling("copyBandwidth", 1e5), adapter: { ...adapter, software: false } },
      /copyBandwidth is .* any adapter/,
    ],
    [
      "a ceiling above its own samples",
      {
        ...file,
        ceilings: { ...ceilings, f32Fma: { value: 1e11, unit: "flop/s", samples: [4e10] } },
      },
      /its best sample/,
    ],
    [
      "a dispatch in no time",
      { ...file, ceilings: { ...ceilings, dispatchOverhead: { value: 0.01, unit: "ns" } } },
      /dispatchOverhead is 0.01 ns/,
    ],
    [
      "a cold cache faster than a hot one",
      withRow(file, cold, scaled(0.15)),
      /with a hot cache|ceiling/,
    ],
    ["a wrong answer", withRow(file, 0, () => ({ status: "wrong" })), /wrong answer/],
    [
      "a wrong answer called right",
      withRow(file, 0, () => ({ correctness: { error: 2, tolerance: 1e-3 } })),
      /above the tolerance/,
    ],
    [
      "a tolerance that lets all pass",
      withRow(file, 0, () => ({ correctness: { error: 2, tolerance: 10 } })),
      /no check of this project/,
    ],
    [
      "samples without any noise",
      withRow(file, 0, ({ samples }) => ({ samples: samples.map(() => samples[0]!) })),
      /no clock shows that/,
    ],
    [
      "another row's samples, stretched",
      withRow(
        file,
        1,
        () => ({ samples: file.measurements[0]!.samples.map((each) => 1.1 * each) }),
      ),
      /stretched/,
    ],
    [
      "a changed working tree",
      { ...file, suite: { ...suite, commit: `${suite.commit}+` } },
      /commit/,
    ],
    ["no commit", { ...file, suite: { ...suite, commit: null } }, /commit is null/],
    ["a run of tomorrow's tomorrow", { ...file, date: "2026-12-03T00:00:00Z" }, /to come/],
    ["nothing at all", { ...file, measurements: [] }, /no measurement/],
  ];
}

test("checkPlausibility() accepts real files, and names what is forged", () => {
  const file = honest();
  assertEquals(checkPlausibility(file, { now }), { problems: [], notes: [] });
  for (const [what, forged, says] of forgeries(file)) {
    const { problems } = checkPlausibility(forged, { now });
    assert(problems.some((problem) => says.test(problem)), `${what}: ${problems.join("; ")}`);
  }
});
