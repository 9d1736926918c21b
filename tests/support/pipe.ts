/** Named pipes: opening one to read waits until something opens it to write. */
import { join } from "node:path";
import { assert } from "./assert/assert.ts";
import { testOnDisk } from "./folder.ts";

/**
 * Registers a test that receives a temporary folder and the path of a named pipe in it. On Windows,
 * which has no pipes in folders, the test is ignored.
 */
export function testWithPipe(
  name: string,
  run: (folder: string, pipe: string) => Promise<void>,
  { file }: { readonly file: string },
): void {
  if (Deno.build.os === "windows") return Deno.test.ignore(`${name} [not on Windows]`, () => {});
  testOnDisk("run")(name, async (folder) => {
    const pipe = join(folder, file);
    const { success } = await new Deno.Command("mkfifo", { args: [pipe] }).output();
    assert(success);
    await run(folder, pipe);
  });
}
