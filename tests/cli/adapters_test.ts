import { listAdapters } from "../../src/cli/adapters.ts";
import { parseBench } from "../../src/cli/bench/options.ts";
import { UsageError } from "../../src/cli/shared/arguments.ts";
import { parseSinks } from "../../src/cli/sinks/options.ts";
import { parseStudy } from "../../src/cli/study/options.ts";
import { parseTrain } from "../../src/cli/train/options.ts";
import { parseTune } from "../../src/cli/tune/options.ts";
import { listVulkanDevices } from "../../src/gpu/adapter/vulkan_devices.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "../support/assert/assert.ts";
import { missingFlags } from "../support/permitted.ts";
import { recordOutput } from "./record_output.ts";

/** For each command that opens a GPU: how it parses `--adapter`. */
const commands: Readonly<Record<string, (adapter: string) => string | undefined>> = {
  bench: (given) => parseBench([given])!.selection.adapter,
  tune: (given) => parseTune([given])!.selection.adapter,
  sinks: (given) => parseSinks([given, "a"])!.gpu.adapter,
  train: (given) => parseTrain([given])!.gpu.adapter,
  "train --resume": (given) => parseTrain([given, "--resume=a"])!.gpu.adapter,
  study: (given) => {
    const request = parseStudy([given]);
    return request?.command === "run" ? request.adapter : undefined;
  },
};

Deno.test("--adapter means the same in every command that opens a GPU", () => {
  for (const [name, read] of Object.entries(commands)) {
    assertEquals(read("--adapter= RTX 4090 "), "RTX 4090", name);
    assertThrows(() => read("--adapter= "), UsageError, "wanted part of a GPU's name");
  }
});

const missing = missingFlags(["ffi", "env"]);
const devices = missing.length > 0 ? [] : listVulkanDevices() ?? [];
const reason = missing[0] ?? (devices.length === 0 ? "a Vulkan driver" : undefined);

Deno.test({
  name: `deno task adapters lists the GPUs with their numbers${
    reason === undefined ? "" : ` [needs ${reason}]`
  }`,
  ignore: reason !== undefined,
  async fn() {
    const recorded = recordOutput();
    assertEquals(await listAdapters([], recorded), 0);
    for (const [i, { name, software }] of devices.entries()) {
      const line = recorded.texts.out.split("\n").find((each) => each.includes(name))!;
      assertEquals(line.trim().split(/\s{2,}/), [
        String(i),
        name,
        software ? "software" : "hardware",
      ]);
    }
  },
});

Deno.test("deno task adapters prints help, and refuses arguments", async () => {
  const recorded = recordOutput();
  assertEquals(await listAdapters(["--help"], recorded), 0);
  assertStringIncludes(recorded.texts.out, "GRADSINK_ADAPTER");
  assertEquals(await listAdapters(["rtx"], recorded), 2);
  assertStringIncludes(recorded.texts.err, 'unexpected "rtx"');
});
