/** For tests: `folder_child.ts FOLDER` holds a run's folder for a minute, or until it is killed. */
import { RunFolder } from "../../../src/experiments/run/folder.ts";

using _ = await RunFolder.open(Deno.args[0]!);
console.log("held");
await new Promise((resolve) => setTimeout(resolve, 60_000));
