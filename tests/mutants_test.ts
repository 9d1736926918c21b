/**
 * The suite catches kernels that were broken on purpose. tests/support/mutants/kernels/ has the
 * mutants, each with the property that must catch it.
 */
import { readdir } from "node:fs/promises";
import { assert } from "./support/assert/assert.ts";
import { testGpu } from "./support/gpu.ts";
import { MutantLaboratory } from "./support/mutants/laboratory.ts";
import { readMutants } from "./support/mutants/list.ts";

const root = new URL("../", import.meta.url);
const mayRead = Deno.permissions.querySync({ name: "read", path: root }).state === "granted";
const mutants = mayRead ? await readMutants() : [];
const without = mayRead ? "" : " [needs --allow-read]";
const files = [...new Set(mutants.map(({ file }) => file))];

const variable = "GRADSINK_TEST_MUTANTS";
const mayAsk = Deno.permissions.querySync({ name: "env", variable }).state === "granted";
const all = mayAsk && Deno.env.get(variable) === "all";

let laboratory: Promise<MutantLaboratory> | undefined;

if (!mayRead) {
  Deno.test({ name: `every mutant of every kernel is caught${without}`, ignore: true, fn() {} });
}

for (const file of files) {
  const own = mutants.filter((mutant) => mutant.file === file);
  Deno.test(`every mutant of ${file} is caught (${own.length})`, async (t) => {
    const opened = await (laboratory ??= testGpu("deno").then((gpu) => new MutantLaboratory(gpu)));
    for (const property of new Set(own.map(({ caughtBy }) => caughtBy))) {
      await opened.checkHealthy(property);
    }
    for (const mutant of own) {
      const ignore = mutant.thorough && !all;
      await t.step({
        name: `${mutant.name}${ignore ? ` (left out without ${variable}=all)` : ""}`,
        ignore,
        fn: () => opened.check(mutant),
      });
    }
  });
}

Deno.test({
  name: `mutants have different names and change something${without}`,
  ignore: !mayRead,
  fn: differ,
});

function differ(): void {
  const names = new Set(mutants.map(({ file, name }) => `${file} ${name}`));
  assert(names.size === mutants.length, "two mutants of a kernel have the same name");
  assert(names.size > 0, "there are no mutants");
  for (const { name, find, replace } of mutants) assert(find !== replace, name);
}

/** Matches the files of kernels whose mutants are in other tests. */
const elsewhere =
  /^(ceilings|matmul|self_test|rows|attention\/panels)\/|_forward_rows|^rms_norm\/(forward_coop|backward_row\.)|^v_scale\/lanes_subgroup/;

const kernels = new URL("kernels/", root);

Deno.test({
  name: `every portable kernel has mutants${without}`,
  ignore: !mayRead,
  async fn() {
    for (const name of await readdir(kernels, { recursive: true })) {
      if (!name.endsWith(".wgsl") || elsewhere.test(name)) continue;
      assert(files.includes(name), `${name} has no mutants`);
    }
  },
});

Deno.test({
  name: `every mutant applies to its kernel, including those left out${without}`,
  ignore: !mayRead,
  async fn() {
    for (const { name, file, find, times } of mutants) {
      const found = (await Deno.readTextFile(new URL(file, kernels))).split(find).length - 1;
      assert(found === times, `${file}: ${name} wants "${find}" ${times} times, found ${found}`);
    }
  },
});
