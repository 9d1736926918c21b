/** Tests the command line of `deno task compilers`. */
import { pretendedGpus } from "../../../bench/compilers/gpus.ts";
import { compilersHelp, parseCompilers } from "../../../bench/compilers/options.ts";
import { checkedCalls } from "../../../bench/compilers/works.ts";
import { UsageError } from "../../../src/cli/shared/arguments.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "../../support/assert/assert.ts";

Deno.test("parseCompilers() selects all GPUs and kernels by default", () => {
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

Deno.test("parseCompilers() reads shapes as the bench does, for the operators that have them", () => {
  const selection = (...args: string[]) => parseCompilers(args)!.selection;
  const attention = { B: 1, Hq: 8, Hkv: 1, T: 1023, D: 96 };
  const both = { B: 1, Hq: 8, Hkv: 8, T: 9, D: 64 };
  assertEquals(selection("--shape=B1,Hq8,Hkv1,T1023,D96/rows512,d2048/H8 T9 D64"), {
    kernels: ["attention", "rms-norm", "v-scale"],
    variants: "all",
    lengths: {},
    calls: {
      attention: [attention, both],
      "rms-norm": [{ rows: 512, d: 2048 }],
      "v-scale": [{ B: 1, Hkv: 8, T: 9, D: 64 }],
    },
  });
  assertEquals(selection("--kernels=matmul", "--shape=M3,N4,K5").calls, {
    matmul: [{ B: 1, M: 3, N: 4, K: 5 }],
  });
});

Deno.test("parseCompilers() with --check selects defaults over more shapes, unless shapes are given", () => {
  const selection = (...args: string[]) => parseCompilers(["--check", ...args])!.selection;
  assertEquals([selection().variants, selection().calls], ["chosen", checkedCalls]);
  assertEquals(selection("--variants=all").variants, "all");
  assertEquals(selection("--lengths=D=96").calls, undefined);
  assertEquals(selection("--shape=M3,N4,K5").calls, { matmul: [{ B: 1, M: 3, N: 4, K: 5 }] });
});

Deno.test("parseCompilers() names a mistake, and suggests what was meant", () => {
  const mistakes: readonly (readonly [string | readonly string[], string])[] = [
    ["--gpus=navi32", "did you mean navi31?"],
    ["--kernels=matmull", "did you mean matmul?"],
    ["--variants=tiled-127", "did you mean tiled-128?"],
    ["--lengths=D", "wanted NAME=LENGTH such as D=256"],
    ["--lengths=X=3", "wanted B, Hq"],
    ["--lengths=D=0", "wanted 1 to"],
    ["--lengths=D=7", "wanted a multiple of 4 up to 256"],
    ["--shape=D64", "wanted the lengths of an operator"],
    ["--shape=B1,H8,T9,D64/X3", '--shape has "X3"'],
    ["--shape=H8,T9,D97", "wanted a multiple of 4 up to 256"],
    ["--shape=Hq8,Hkv3,T9,D64", "divides the query's 8"],
    [["--shape=M3,N4,K5", "--lengths=K=4"], "both given"],
    [["--shape=M3,N4,K5", "--kernels=matmul,rms-norm"], "--kernels names rms-norm"],
    ["--deadline=-1", "wanted seconds above 0"],
    ["--deadline=soon", "wanted seconds above 0"],
    ["--format=csv", "wanted table, markdown, json"],
    ["navi31", "takes options only"],
  ];
  for (const [argument, message] of mistakes) {
    assertThrows(() => parseCompilers([argument].flat()), UsageError, message);
  }
});

Deno.test("compilersHelp() lists every GPU", () => {
  const text = compilersHelp();
  for (const { name, product } of pretendedGpus) {
    assertStringIncludes(text, `  ${name} `);
    assertStringIncludes(text, product);
  }
});
