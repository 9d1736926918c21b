/** checkRoom() compares the sizes of files with the free room on the disk. */
import { join } from "node:path";
import { CheckpointError } from "../../../../src/model/checkpoint/error.ts";
import { checkRoom } from "../../../../src/model/pretrained/hub/room.ts";
import { assertRejects, assertStringIncludes } from "../../../support/assert/assert.ts";
import { inFolder } from "../../../support/folder.ts";
import { allowed } from "../../../support/model/hub_scene.ts";

Deno.test({
  name: "checkRoom() refuses files that the disk has no room for [needs --allow-sys=statfs]",
  ignore: !allowed ||
    (await Deno.permissions.query({ name: "sys", kind: "statfs" })).state !== "granted",
  fn: () =>
    inFolder(async (folder) => {
      const file = (size: number) => [{
        name: "a",
        size,
        digest: { type: "sha256", value: "" } as const,
      }];
      await checkRoom(folder, file(1000));
      const message = "the disk has room for ";
      const error = await assertRejects(
        () => checkRoom(folder, file(2 ** 60)),
        CheckpointError,
        message,
      );
      assertStringIncludes(error.message, "wanted 1152921504606.8 MB for the weights");
      // An already fetched part needs no room.
      await Deno.writeFile(join(folder, "a.part"), new Uint8Array());
      await Deno.truncate(join(folder, "a.part"), 2 ** 42);
      await checkRoom(folder, file(2 ** 42 + 1000));
    }),
});
