/** The command line of `deno task compilers`. */
import { pretendedGpus } from "../../../bench/compilers/gpus.ts";
import { compilersHelp, parseCompilers } from "../../../bench/compilers/options.ts";
import { UsageError } from "../../../src/cli/shared/arguments.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "../../support/assert/assert.ts";

Deno.test("parseCompilers() takes every GPU and kernel unless it is told which", () => {
  const request = parseCompilers([])!;
  assertEquals(request.gpus, pretendedGpus);
  assertEquals(request.selection, {
    kernels: ["attention", "rms-norm", "v-scale", "matmul", "model"],
    variants: "all",
    lengths: {},
  });
  assertEquals([request.runtime, request.format, request.check], ["deno", "table", false]);
  assertEquals(parseCompilers(["--help"]), undefined);
});

Deno.test("parseCompilers() reads a selection", () => {
  const request = parseCompilers([
    "--gpus=dg2,navi31",
    "--kernels=matmul",
    "--variants=tiled-128,portable",
    "--lengths=M=512,transposeLeft=0",
    "--runtime=dawn",
    "--format=json",
    "--check",
    "--deadline=2.5",
  ])!;
  assertEquals(request.gpus.map(({ name }) => name), ["navi31", "dg2"]);
  assertEquals(request.selection, {
    kernels: ["matmul"],
    variants: ["tiled-128", "portable"],
    lengths: { M: 512, transposeLeft: 0 },
  });
  const { runtime, format, check, deadline } = request;
  assertEquals([runtime, format, check, deadline], ["dawn", "json", true, 2500]);
});

Deno.test("parseCompilers() names what is wrong, and what is near", () => {
  const mistakes: readonly [string, string][] = [
    ["--gpus=navi32", "did you mean navi31?"],
    ["--kernels=matmull", "did you mean matmul?"],
    ["--variants=tiled-127", "did you mean tiled-128?"],
    ["--lengths=D", "wanted NAME=LENGTH such as D=256"],
    ["--lengths=X=3", "wanted B, Hq"],
    ["--lengths=D=0", "wanted 1 to"],
    ["--deadline=-1", "wanted seconds above 0"],
    ["--deadline=soon", "wanted seconds above 0"],
    ["--format=csv", "wanted table, markdown, json"],
    ["navi31", "takes options only"],
  ];
  for (const [argument, message] of mistakes) {
    assertThrows(() => parseCompilers([argument]), UsageError, message);
  }
});

Deno.test("compilersHelp() lists every GPU", () => {
  const text = compilersHelp();
  for (const { name, product } of pretendedGpus) {
    assertStringIncludes(text, `  ${name} `);
    assertStringIncludes(text, product);
  }
});
