/**
 * `checkpoint_child.ts FOLDER`: goes on from FOLDER/step-1 and says how writing FOLDER/step-2
 * ended. For tests.
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
