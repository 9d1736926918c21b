import type { PassName } from "../../src/measure/workloads/operator.ts";
import { operatorNames, passesOf } from "../../src/measure/workloads/operators.ts";
import { batchJobs, type JobSelection, listJobs, listWork } from "../../src/measure/jobs.ts";
import {
  namedVariantsOf,
  numberFormatOf,
  variantsOf,
} from "../../src/measure/workloads/variants.ts";
import { assert, assertEquals } from "../support/assert/assert.ts";

const everything: JobSelection = {
  kernels: operatorNames,
  passes: ["forward", "backward"] satisfies PassName[],
  shapes: "quick",
  dtypes: ["f32", "f16+f32"],
  caches: ["hot"],
  variants: "all",
};

function jobsOf(
  changes: Partial<JobSelection>,
  unfit: Readonly<Record<string, string>> = {},
) {
  const selection = { ...everything, ...changes };
  const work = listWork(selection, { software: true });
  return listJobs(
    selection,
    work.map((each) => ({ ...each, chosen: "portable", tuned: false, unfit })),
  );
}

const formats = (
  jobs: readonly { readonly dtype: string; readonly variant: string }[],
) => [...new Set(jobs.map(({ dtype, variant }) => `${dtype} ${variant}`))];

Deno.test("listJobs() lists variants that round to f16 only if they are named", () => {
  for (const variants of ["chosen", "all"] as const) {
    const jobs = jobsOf({ variants });
    assert(jobs.length >= operatorNames.length);
    assert(jobs.every(({ dtype, variant }) => dtype === "f32" && !variant.endsWith("f16")));
  }
  const named = ["tiled-32x32", "tiled-32x32-f16", "tiled-32-f16"];
  assertEquals(formats(jobsOf({ variants: named })), [
    "f32 tiled-32x32",
    "f16+f32 tiled-32x32-f16",
    "f16+f32 tiled-32-f16",
  ]);
  const passes = jobsOf({ variants: named, kernels: ["attention"] })
    .filter(({ dtype }) => dtype !== "f32").map(({ pass }) => pass);
  assertEquals([...new Set(passes)], ["forward", "backward"]);
});

Deno.test("listJobs() lists a call once, however often its shape is named", () => {
  const once = jobsOf({ kernels: ["rms-norm"], shapes: ["rows512,d2048"] });
  assert(once.length > 2);
  const shapes = ["rows512,d2048", "d2048,rows512"];
  assertEquals(jobsOf({ kernels: ["rms-norm"], shapes }), once);
});

Deno.test("listJobs() leaves out other number formats, and variants that cannot run", () => {
  const variants = ["tiled-32", "tiled-32-f16", "tiled-f16"];
  const matmul = { variants, kernels: ["matmul"] as const };
  assertEquals(formats(jobsOf({ ...matmul, dtypes: ["f32"] })), ["f32 tiled-32"]);
  assertEquals(formats(jobsOf({ ...matmul, dtypes: ["f16+f32"] })), [
    "f16+f32 tiled-f16",
    "f16+f32 tiled-32-f16",
  ]);
  assertEquals(formats(jobsOf(matmul, { "tiled-f16": "no", "tiled-32-f16": "no" })), [
    "f32 tiled-32",
  ]);
});

Deno.test("no operator's default list, from which bench and tuning choose, holds a variant in f16", () => {
  let count = 0;
  for (const kernel of operatorNames) {
    for (const pass of passesOf(kernel)) {
      for (const name of variantsOf(kernel, pass)) {
        assertEquals(numberFormatOf(kernel, pass, name), "f32");
      }
      for (const name of namedVariantsOf(kernel, pass)) {
        assert(name.endsWith("-f16") && !variantsOf(kernel, pass).includes(name), name);
        assertEquals(numberFormatOf(kernel, pass, name), "f16+f32");
        count++;
      }
    }
  }
  assert(count >= 3 * 6 + 4, `${count}`);
});

Deno.test("batchJobs() keeps number formats apart, and loses no job", () => {
  const jobs = jobsOf({ variants: ["tiled-32", "tiled-32-f16"], kernels: ["matmul"] });
  const batched = batchJobs(jobs, 3).flat();
  assertEquals(batched.map(({ id }) => id).sort((a, b) => a - b), jobs.map(({ id }) => id));
});

Deno.test("batchJobs() measures the variants of attention on one shape in one batch of at most four jobs", () => {
  const jobs = jobsOf({ kernels: operatorNames });
  const work = ({ kernel, pass, shape }: (typeof jobs)[number]) =>
    JSON.stringify([kernel, pass, shape.dimensions]);
  const batches = batchJobs(jobs, 5);
  assertEquals(batches.flat().length, jobs.length);
  for (const batch of batches) {
    const works = new Set(batch.map(work)).size;
    assert(works >= 1 && works <= 4, `${works} works in a batch`);
  }
  let pairs = 0;
  for (const job of jobs.filter(({ kernel }) => kernel === "attention-sink-logit")) {
    const own = batches.find((batch) => batch.includes(job))!;
    assert(own.some((each) => work(each) === work({ ...job, kernel: "attention" })), work(job));
    pairs++;
  }
  assert(pairs > 0);
});
