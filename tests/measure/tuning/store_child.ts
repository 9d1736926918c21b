/**
 * For tests: stores tuned choices in the cache that the environment names. Prints the keys of all
 * choices that the cache then has, or the error. Choices are numbered from 0, and each has another
 * shape class. Arguments:
 *
 * - `keep FIRST COUNT`: stores COUNT choices concurrently, numbered from FIRST on
 * - `full FIRST COUNT`: the same, but every write fails as on a full disk
 * - `list`: stores nothing
 */
import { storeTuning } from "../../../src/measure/tuning/store.ts";
import { candidatesHash, choiceKey, type TunedChoice } from "../../../src/ops/tuning/choices.ts";
import { readTuning } from "../../../src/ops/tuning/file.ts";
import { info, tunedChoice, tunedOperator } from "../../support/tuned_choice.ts";

const [command, first = "0", count = "0"] = Deno.args;

async function choice(index: number): Promise<TunedChoice> {
  const dimensions = { rows: 4 ** (1 + index % 7), d: 4 ** (1 + Math.floor(index / 7)) };
  return tunedChoice({
    dimensions,
    shapeClass: tunedOperator.shapeClass(dimensions),
    candidatesHash: await candidatesHash(info, tunedOperator, dimensions),
  });
}

if (command === "full") {
  Deno.FsFile.prototype.write = () =>
    Promise.reject(new Error("No space left on device (os error 28)"));
}
try {
  const indices = Array.from({ length: Number(count) }, (_, i) => Number(first) + i);
  await Promise.all(
    indices.map(async (index) => await storeTuning(info, [await choice(index)])),
  );
  console.log(JSON.stringify((await readTuning(info)).map(choiceKey)));
} catch (error) {
  console.log(JSON.stringify([(error as Error).message]));
}
