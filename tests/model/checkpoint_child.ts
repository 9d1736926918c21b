/**
 * For tests: `checkpoint_child.ts FOLDER` reads FOLDER/step-1, writes it to FOLDER/step-2, and
 * prints "written" or the error of the writing.
 */
import { join } from "node:path";
import { readCheckpoint, writeCheckpoint } from "../../src/model/checkpoint.ts";

const folder = Deno.args[0]!;
const checkpoint = await readCheckpoint(join(folder, "step-1"));
try {
  await writeCheckpoint(join(folder, "step-2"), { ...checkpoint, step: 2 });
  console.log("written");
} catch (error) {
  console.log(String(error));
}
