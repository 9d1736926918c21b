import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "../../support/assert/assert.ts";
import {
  type ArgumentParser,
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  UsageError,
} from "../../../src/cli/shared/arguments.ts";
import { parseArgs as fallback } from "../../../src/cli/shared/arguments_fallback.ts";
import { closest, editDistance } from "../../../src/closest.ts";

const standard = await (import("@std/cli/parse-args") as Promise<unknown>).then(
  (module) => (module as { parseArgs: ArgumentParser }).parseArgs,
  () => undefined,
);

const options = {
  format: {
    type: "value",
    short: "f",
    description: "form",
    choices: ["table", "csv"],
    default: "table",
  },
  out: { type: "value", placeholder: "FILE", description: "where to" },
  help: { type: "switch", short: "h", description: "this" },
  verbose: { type: "switch", description: "more" },
} as const satisfies OptionSpecifications;

interface Expected {
  readonly format?: string;
  readonly out?: string;
  readonly help?: boolean;
  readonly verbose?: boolean;
  readonly operands?: readonly string[];
}

const readable: readonly (readonly [readonly string[], Expected])[] = [
  [[], {}],
  [["a", "b"], { operands: ["a", "b"] }],
  [["--format", "csv", "a"], { format: "csv", operands: ["a"] }],
  [["--format=csv", "a"], { format: "csv", operands: ["a"] }],
  [["-f", "csv"], { format: "csv" }],
  [["-f=csv"], { format: "csv" }],
  [["a", "--help", "b"], { help: true, operands: ["a", "b"] }],
  [["-h"], { help: true }],
  [["--help", "true"], { help: true, operands: ["true"] }],
  [["--verbose", "false", "--help"], { verbose: true, help: true, operands: ["false"] }],
  [["--out=x", "--out=y"], { out: "y" }],
  [["--out=a=b"], { out: "a=b" }],
  [["--out=-5%"], { out: "-5%" }],
  [["--out=--help"], { out: "--help" }],
  [["--out", "007", "1e3", "-"], { out: "007", operands: ["1e3", "-"] }],
  [["--out", "a b\nc"], { out: "a b\nc" }],
  [["--", "--help", "-x", "--"], { operands: ["--help", "-x", "--"] }],
  [["a", "--help", "--", "b"], { help: true, operands: ["a", "b"] }],
];

const wrong: readonly (readonly [readonly string[], string])[] = [
  [["--formt=csv"], 'unknown option "--formt" (did you mean --format?)'],
  [["--hepl"], "did you mean --help?"],
  [["--FORMAT=csv"], "did you mean --format?"],
  [["--xyzzy"], 'unknown option "--xyzzy"; --help lists the options'],
  [["-x"], 'unknown option "-x"'],
  [["-hf"], 'unknown option "-hf"'],
  [["--h"], 'unknown option "--h"'],
  [["--no-help"], 'unknown option "--no-help"'],
  [["--constructor"], 'unknown option "--constructor"'],
  [["--__proto__=1"], 'unknown option "--__proto__"'],
  [["--=x"], 'unknown option "--"'],
  [["--out"], "--out wants a value: --out=FILE"],
  [["--out="], "--out wants a value"],
  [["--out", ""], "--out wants a value"],
  [["--out", "--help"], "--out wants a value"],
  [["--out", "-5%"], "--out wants a value"],
  [["--out", "--"], "--out wants a value"],
  [["--help=false"], "--help takes no value"],
  [["--format=json"], '--format is "json", wanted table, csv'],
  [["--format=tabel"], "(did you mean table?)"],
];

function testParser(name: string, parser: ArgumentParser | undefined): void {
  const missing = parser === undefined;
  Deno.test({
    name: `parseArguments() reads command lines with ${name}${
      missing ? " (JSR is not reachable)" : ""
    }`,
    ignore: missing,
    fn() {
      for (const [args, expected] of readable) {
        const { switches, values, operands } = parseArguments(args, { options, parser: parser! });
        assertEquals({ ...switches, ...values, operands: [...operands] }, {
          help: expected.help ?? false,
          verbose: expected.verbose ?? false,
          format: expected.format ?? "table",
          out: expected.out,
          operands: expected.operands ?? [],
        }, args.join(" "));
      }
    },
  });
  Deno.test({
    name: `parseArguments() refuses mistakes with ${name}${
      missing ? " (JSR is not reachable)" : ""
    }`,
    ignore: missing,
    fn() {
      for (const [args, message] of wrong) {
        assertThrows(() => parseArguments(args, { options, parser: parser! }), UsageError, message);
      }
    },
  });
}

testParser("node:util", fallback);
testParser("@std/cli", standard);

Deno.test("formatOptions() lists every option with its choices and default", () => {
  const text = formatOptions(options);
  assertEquals(text.split("\n").length, 5);
  assert(text.includes("-f, --format=VALUE") && text.includes("form: table, csv (default table)"));
  assert(text.includes("--out=FILE") && text.includes("    --verbose  "));
});

Deno.test("editDistance() counts edits and swaps of neighbors", () => {
  const known: [string, string, number][] = [
    ["", "", 0],
    ["abc", "", 3],
    ["kitten", "sitting", 3],
    ["saturday", "sunday", 3],
    ["hepl", "help", 1],
    ["ca", "abc", 3],
  ];
  for (const [a, b, distance] of known) {
    assertEquals([editDistance(a, b), editDistance(b, a)], [distance, distance]);
  }
});

Deno.test("closest() finds the word that was meant, and nothing if none is close", () => {
  assertEquals(closest("formt", ["help", "format"]), "format");
  assertEquals(closest("fail", ["fail-on-regression", "format"]), "fail-on-regression");
  assertEquals(closest("intel", ["AMD Radeon", "Intel Arc"]), "Intel Arc");
  assertEquals(closest("zzzzz", ["help", "format"]), undefined);
  assertNotEquals(closest("x".repeat(1e6), ["xx"]), "x");
});
