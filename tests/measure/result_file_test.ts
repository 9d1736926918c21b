import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStringIncludes,
  assertThrows,
} from "../support/assert/assert.ts";
import { escapeTerminal } from "../../src/escape.ts";
import { FileError, MAXIMUM_FILE_BYTES } from "../../src/files/file_error.ts";
import type { Measurement, ResultFile } from "../../src/measure/result_file.ts";
import { formatResultFile, parseResultFile } from "../../src/measure/result_file/parse.ts";
import { fullResultFile, syntheticMeasurement, syntheticResultFile } from "./synthetic.ts";

Deno.test("parseResultFile() reads back what formatResultFile() wrote", () => {
  for (const file of [fullResultFile(), syntheticResultFile()]) {
    assertEquals(parseResultFile(formatResultFile(file, "a.json"), "a.json"), file);
  }
});

Deno.test("parseResultFile() reads a file that has only the required fields", () => {
  const file = {
    schema: "gradsink-results/1",
    suite: { version: "0.1.0", commit: null },
    date: "2026-11-23T20:15:00.123+01:00",
    runtime: { name: "deno" },
    host: {},
    adapter: { vendor: "" },
    ceilings: {},
    settings: {},
    measurements: [],
  };
  assertEquals<unknown>(parseResultFile(JSON.stringify(file), "a.json"), file);
});

Deno.test("parseResultFile() keeps fields of newer minor versions, and skips a byte order mark", () => {
  const file = {
    ...syntheticResultFile(),
    schema: "gradsink-results/1.7",
    carbonGrams: { total: 12, byMeasurement: [[1, 2], null] },
  };
  assertEquals<unknown>(parseResultFile("\ufeff" + JSON.stringify(file), "a.json"), file);
});

Deno.test("parseResultFile() reads variants of one call, and one variant under two tunings", () => {
  for (
    const change of [{ variant: "other" }, { tuning: { rows: 99 } }, { cache: "hot" }] as const
  ) {
    parseResultFile(JSON.stringify(twice(change)), "a.json");
  }
});

Deno.test("formatResultFile() puts a list of numbers on one line", () => {
  const text = formatResultFile(fullResultFile(), "a.json");
  assertStringIncludes(text, '"samples": [1000, 1010.5, 990, 1001]');
});

/** The text of a valid file with one field replaced, or removed if `value` is undefined. */
function withField(path: string, value: unknown): string {
  const file = structuredClone(fullResultFile()) as unknown as Record<string, unknown>;
  const names = path.split(".");
  const last = names.pop()!;
  let node = file;
  for (const name of names) node = node[name] as Record<string, unknown>;
  assert(value !== undefined || Object.hasOwn(node, last), `${path} is not in the full file`);
  if (value === undefined) delete node[last];
  else node[last] = value;
  return JSON.stringify(file);
}

const valid = JSON.stringify(fullResultFile());

/** The full file with two measurements: its first one, and a changed copy of it. */
function twice(change: Partial<Measurement>): ResultFile {
  const file = fullResultFile();
  const [first] = file.measurements;
  return { ...file, measurements: [first!, { ...first!, ...change }] };
}

/** The first measurement's shape, with its dimensions in reverse order. */
function reversed({ measurements }: ResultFile): Measurement["shape"] {
  return Object.fromEntries(Object.entries(measurements[0]!.shape).reverse());
}

// [fault, text, words of the error]. parseResultFile() must refuse each text in one line that
// contains these words.
const hostile: readonly (readonly [string, string, string])[] = [
  ["empty text", "", "is empty"],
  ["white space", " \n\t ", "is empty"],
  ["a lone byte order mark", "\ufeff", "is empty"],
  ["a truncated file", valid.slice(0, valid.length / 2), "cut off"],
  ["one missing brace", valid.slice(0, -1), "cut off"],
  ["two files in one", valid + valid, "is not JSON"],
  ["a YAML file", "schema: gradsink-results/1\n", "is not JSON"],
  ["a page of HTML", "<!doctype html><title>404</title>", "is not JSON"],
  ["a NUL byte", "\u0000", "is not JSON"],
  ["NaN as a literal", withField("measurements.0.flops", "x").replace('"x"', "NaN"), "is not JSON"],
  ["a trailing comma", valid.slice(0, -1) + ",}", "is not JSON"],
  ["a comment", "// hello\n" + valid, "is not JSON"],
  ["null", "null", "wanted a JSON object"],
  ["a number", "42", "wanted a JSON object"],
  ["a string", '"gradsink-results/1"', "wanted a JSON object"],
  ["a list", "[]", "wanted a JSON object"],
  ["a list of files", `[${valid}]`, "wanted a JSON object"],
  ["an empty object", "{}", "schema is missing"],
  ["another program's JSON", '{"version":1,"benches":[]}', "schema is missing"],
  ["another program's schema", withField("schema", "criterion/1"), 'schema is "criterion/1"'],
  ["a schema that is no string", withField("schema", 1), "schema is 1"],
  ["the next major version", withField("schema", "gradsink-results/2"), "newer gradsink"],
  ["a far major version", withField("schema", "gradsink-results/999.1"), "newer gradsink"],
  ["major version 0", withField("schema", "gradsink-results/0"), "schema is"],
  ["a version with a tail", withField("schema", "gradsink-results/1\u001b[2J"), "schema is"],
  ["deep nesting", "[".repeat(100_000), "deeper than 32"],
  ["deep objects", '{"a":'.repeat(50_000) + "1" + "}".repeat(50_000), "deeper than 32"],
  [
    "a deep extra field",
    withField("extra", 0).replace('"extra":0', `"extra":${"[".repeat(40) + "]".repeat(40)}`),
    "deeper than 32",
  ],
  ["more than 16 MiB", " ".repeat(MAXIMUM_FILE_BYTES + 1), "larger than 16 MiB"],
  [
    "a __proto__ field",
    valid.replace('"suite"', '"__proto__":{"polluted":true},"suite"'),
    "__proto__ is a field name that is not allowed",
  ],
  [
    "a __proto__ dimension",
    valid.replace('"B":1', '"__proto__":1'),
    "measurements[0].shape.__proto__ is a field name",
  ],
  [
    "an escaped __proto__",
    valid.replace('"B":1', '"\\u005f_proto__":1'),
    "measurements[0].shape.__proto__ is a field name",
  ],
  ["a constructor field", withField("settings.constructor", { x: 1 }), "settings.constructor is a"],
  ["a prototype field in an extra one", withField("extra", [{ prototype: 1 }]), "extra[0].proto"],
  [
    "a number beyond float64",
    withField("measurements.0.flops", 12321).replace("12321", "1e999"),
    "measurements[0].flops is Infinity",
  ],
  [
    "a number beyond float64 in an extra field",
    withField("extra", 12321).replace("12321", "-1e999"),
    "extra is -Infinity",
  ],
  [
    "a null sample",
    withField("measurements.0.samples.2", null),
    "measurements[0].samples[2] is null",
  ],
  [
    "a text sample",
    withField("measurements.0.samples.2", "9"),
    'samples[2] is "9", wanted a number',
  ],
  [
    "a negative sample",
    withField("measurements.0.samples.2", -5),
    "samples[2] is -5, wanted at least",
  ],
  ["a zero sample", withField("measurements.0.samples.2", 0), "samples[2] is 0, wanted at least"],
  ["an absurd sample", withField("measurements.0.samples.2", 1e300), "samples[2] is 1e+300"],
  ["a subnormal sample", withField("measurements.0.samples.2", 5e-324), "samples[2] is 5e-324"],
  ["a list as a sample", withField("measurements.0.samples.2", [1]), "samples[2] is a list"],
  ["samples that are no list", withField("measurements.0.samples", "1,2"), "wanted a list"],
  ["samples as an object", withField("measurements.0.samples", { length: 9 }), "wanted a list"],
  [
    "too many samples",
    withField("measurements.0.samples", Array(20_001).fill(1)),
    "samples has a length of 20001, wanted at most 20000",
  ],
  ["measurements that are no list", withField("measurements", {}), "measurements is an object"],
  ["a null measurement", withField("measurements.0", null), "measurements[0] is null"],
  ["no kernel", withField("measurements.0.kernel", undefined), "measurements[0].kernel is missing"],
  ["an empty kernel", withField("measurements.0.kernel", ""), 'kernel is "", wanted text like'],
  [
    "markup as a kernel",
    withField("measurements.0.kernel", "<script>alert(1)</script>"),
    "measurements[0].kernel is",
  ],
  [
    "an escape sequence as a kernel",
    withField("measurements.0.kernel", "a\u001b[31m"),
    ".kernel is",
  ],
  [
    "a kernel with a line break at its end",
    withField("measurements.0.kernel", "a\n"),
    ".kernel is",
  ],
  ["no shape", withField("measurements.0.shape", undefined), "measurements[0].shape is missing"],
  ["an empty shape", withField("measurements.0.shape", {}), "shape is too short"],
  ["a list as a shape", withField("measurements.0.shape", [1, 2]), "shape is a list"],
  ["a fractional dimension", withField("measurements.0.shape.T", 1.5), "shape.T is 1.5"],
  ["a negative dimension", withField("measurements.0.shape.T", -1), "shape.T is -1"],
  [
    "markup as a dimension's name",
    withField("measurements.0.shape", { "<b>": 1 }),
    'shape["<b>"] has a name that is not allowed',
  ],
  ["an object as tuning's value", withField("measurements.0.tuning.tile", {}), "tuning.tile is an"],
  [
    "an unknown status",
    withField("measurements.0.status", "great"),
    'status is "great", wanted "ok"',
  ],
  ["an unknown cache state", withField("measurements.0.cache", "warm"), 'wanted "hot" or "cold"'],
  ["an unknown timer", withField("measurements.0.timer.kind", "sundial"), "timer.kind is"],
  [
    "a timer without its quantum",
    withField("measurements.0.timer.quantum", undefined),
    ".quantum is missing",
  ],
  ["no timer", withField("measurements.0.timer", null), "timer is null"],
  ["rounds that do not add up", withField("measurements.0.rounds", [3, 2]), "rounds add up to 5"],
  [
    "a measurement that is there twice, with other samples",
    JSON.stringify(twice({ samples: [9, 9, 9, 9], shape: reversed(fullResultFile()) })),
    "measurements[1] is of the same call and variant as measurements[0]",
  ],
  ["sweeps without rounds", withField("measurements.0.sweeps", [0]), "sweeps has 1 items, wanted"],
  ["a name of a joint run", withField("settings.jointRun", "../x"), "settings.jointRun"],
  ["an endless round", withField("measurements.0.rounds", [1e9]), "rounds[0] is 1000000000"],
  ["CPU times that do not match", withField("measurements.0.cpuSamples", [1]), "cpuSamples has 1"],
  ["a thousand warnings", withField("warnings", Array(1000).fill("x")), "warnings has a length"],
  ["a long reason", withField("measurements.1.reason", "x".repeat(2001)), "reason has a length of"],
  ["a long label", withField("label", "😀".repeat(301)), "label has a length of 301"],
  ["a label that is an object", withField("label", { toString: "x" }), "label is an object"],
  ["no suite", withField("suite", undefined), "suite is missing"],
  ["a suite without a commit", withField("suite.commit", undefined), "suite.commit is missing"],
  ["a date that is no date", withField("date", "yesterday"), 'date is "yesterday"'],
  ["a date that is a number", withField("date", 1700000000), "date is 1700000000"],
  [
    "an adapter that is a string",
    withField("adapter", "GPU"),
    'adapter is "GPU", wanted an object',
  ],
  [
    "an adapter without a vendor",
    withField("adapter.vendor", undefined),
    "adapter.vendor is missing",
  ],
  ["software as a string", withField("adapter.software", "yes"), "wanted true or false"],
  ["a ceiling in another unit", withField("ceilings.f32Fma.unit", "GFLOPS"), 'wanted "flop/s"'],
  ["a ceiling of zero", withField("ceilings.copyBandwidth.value", 0), "copyBandwidth.value is 0"],
  [
    "a form of a ceiling without a figure",
    withField("ceilings.f32Fma.forms", [{ method: "a" }]),
    "value",
  ],
  ["a bare ceiling", withField("ceilings.f32Fma", 9e12), "wanted an object or null"],
  ["no ceilings", withField("ceilings", null), "ceilings is null, wanted an object"],
];

for (const [what, text, message] of hostile) {
  Deno.test(`parseResultFile() refuses ${escapeTerminal(what)}`, () => {
    const error = assertThrows(() => parseResultFile(text, "evil\u001b[2J.json"), FileError);
    assertStringIncludes(error.message, message);
    assert(error.message.startsWith("evil\\u001b[2J.json: "), error.message);
    assertEquals(escapeTerminal(error.message), error.message);
    assert(error.message.length < 600, "the message is short");
    assertEquals(({} as { polluted?: boolean }).polluted, undefined);
  });
}

Deno.test("parseResultFile() is tested with at least 40 hostile texts, none of them valid", () => {
  assert(hostile.length >= 40);
  assertNotEquals(parseResultFile(valid, "a.json"), undefined);
  assertEquals(new Set(hostile.map(([, text]) => text)).size, hostile.length);
});

Deno.test("formatResultFile() refuses what parseResultFile() would refuse", () => {
  const file = syntheticResultFile({ measurements: [syntheticMeasurement({ samples: [NaN] })] });
  const error = assertThrows(() => formatResultFile(file, "a.json"), FileError);
  assertEquals(
    error.message,
    "a.json: measurements[0].samples[0] is NaN, wanted a finite number",
  );
  assertThrows(
    () => formatResultFile({ ...file, measurements: [], date: "now" } as ResultFile, "a.json"),
    FileError,
    "date",
  );
});

Deno.test("formatResultFile() refuses a file too large for parseResultFile()", () => {
  const samples = Array.from({ length: 20_000 }, (_, i) => 1000 + i / 7);
  const file = syntheticResultFile({
    measurements: Array.from(
      { length: 60 },
      (_, i) => syntheticMeasurement({ samples, variant: `v${i}` }),
    ),
  });
  assertThrows(() => formatResultFile(file, "a.json"), FileError, "larger than 16 MiB");
});
