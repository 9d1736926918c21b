/** Checks the exports of an operator's file before any of its kernels runs. */
import { closest } from "../../closest.ts";
import type { Dimensions, PassName } from "../workloads/operator.ts";
import { attempt } from "./calls.ts";
import type { CustomOperator, CustomPass } from "./description.ts";
import { describe, isRecord } from "./tensors.ts";

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const VARIANT = /^[A-Za-z0-9][A-Za-z0-9_.+-]*$/;
const LONGEST_NAME = 60;
/** Lengths are below this, because a command line accepts at most nine digits. */
const MAXIMUM_LENGTH = 1e9;

/** The exports that a pass needs besides `plan`: each one's type and meaning. */
const PASS_EXPORTS = {
  inputs: "a function (lengths, random) that draws the input tensors by name",
  twin: "a function (inputs, lengths) that computes the outputs by name in float64",
  cost: "a function (lengths) that returns { flops, bytes }",
} as const;

const PLAN = "a function (gpu, inputs, lengths) that returns { plan, ...outputs }, or such " +
  "functions by the variants' names";
const KNOWN = ["name", "shapes", "tolerance", "backward", "plan", ...Object.keys(PASS_EXPORTS)];

/**
 * Checks an operator and returns it.
 *
 * @param exported the exports of its file
 * @throws {TypeError} for an export that is missing, misspelled or of the wrong kind
 * @throws {RangeError} for an impossible value
 */
export function checkedOperator(exported: unknown): CustomOperator {
  if (!isRecord(exported)) {
    throw new TypeError(`the operator is ${describe(exported)}, wanted the exports of its file`);
  }
  const given = Object.hasOwn(exported, "default") && Object.keys(exported).length === 1
    ? refuseDefault()
    : exported;
  for (const other of Object.keys(given).filter((each) => !KNOWN.includes(each))) {
    const near = closest(other, KNOWN);
    if (near === undefined || Object.hasOwn(given, near)) continue; // A helper of the file.
    throw new TypeError(`exports ${other}, which nothing reads: did you mean ${near}?`);
  }
  checkName(given.name);
  checkPass(given, "");
  if (given.backward !== undefined) {
    if (!isRecord(given.backward)) {
      throw wrong("backward", given.backward, "an object { inputs, twin, cost, plan }");
    }
    for (const other of Object.keys(given.backward)) {
      if (KNOWN.includes(other) && !["name", "shapes", "backward"].includes(other)) continue;
      const wanted = [...Object.keys(PASS_EXPORTS), "plan", "tolerance"].join(", ");
      throw new TypeError(`backward has ${other}, which nothing reads; wanted ${wanted}`);
    }
    checkPass(given.backward, "backward.");
  }
  const { shapes } = given;
  if (typeof shapes !== "function" && !Array.isArray(shapes)) {
    throw wrong("shapes", shapes, "a list of lengths by name, as in [{ rows: 512, d: 2048 }]");
  }
  const operator = given as unknown as CustomOperator;
  const lists = [false, true].map((software) => shapesOn(operator, software));
  const names = Object.keys(lists[0]![0]!).sort().join(", ");
  for (const lengths of lists.flat()) {
    const own = Object.keys(lengths).sort().join(", ");
    if (own !== names) {
      throw new TypeError(
        `shapes name the lengths ${names} and also ${own}; wanted the same names in each`,
      );
    }
  }
  return operator;
}

/**
 * Lists the calls to measure on an adapter, each as lengths by name.
 *
 * @param software whether the adapter computes on the CPU
 * @throws {TypeError} if `shapes` neither is nor returns a list of lengths by name
 * @throws {RangeError} for an impossible length, or if the file's function throws
 */
export function shapesOn({ shapes }: CustomOperator, software: boolean): readonly Dimensions[] {
  const list: unknown = typeof shapes === "function"
    ? attempt(`shapes({ software: ${software} })`, () => shapes({ software }))
    : shapes;
  if (!Array.isArray(list) || list.length === 0) {
    throw wrong("shapes", list, "at least one call's lengths, as in [{ rows: 512, d: 2048 }]");
  }
  for (const [i, lengths] of list.entries()) {
    if (!isRecord(lengths) || Object.keys(lengths).length === 0) {
      throw wrong(`shapes[${i}]`, lengths, "lengths by name, as in { rows: 512, d: 2048 }");
    }
    for (const [name, length] of Object.entries(lengths)) {
      if (!/^[A-Za-z]{1,40}$/.test(name)) {
        throw new TypeError(
          `shapes[${i}] has a length ${JSON.stringify(name)}, wanted a name of letters only, ` +
            "so that --shape can give it",
        );
      }
      const valid = Number.isSafeInteger(length) && (length as number) >= 1 &&
        (length as number) < MAXIMUM_LENGTH;
      if (!valid) {
        throw new RangeError(
          `shapes[${i}].${name} is ${describe(length)}, wanted a whole number from 1 on, below 1e9`,
        );
      }
    }
  }
  return list as readonly Dimensions[];
}

/** Returns a pass of a checked operator. */
export function passOf(operator: CustomOperator, pass: PassName): CustomPass {
  return pass === "forward" ? operator : operator.backward!;
}

function refuseDefault(): never {
  throw new TypeError(
    `has a default export only, wanted named exports: ${
      ["name", "shapes", ...Object.keys(PASS_EXPORTS), "plan"].join(", ")
    }`,
  );
}

function checkName(name: unknown): void {
  if (typeof name !== "string") throw wrong("name", name, 'a text, as in "softcap"');
  if (NAME.test(name) && name.length <= LONGEST_NAME) return;
  throw new RangeError(
    `name is ${
      describe(name)
    }, wanted lower-case words with hyphens, at most ${LONGEST_NAME} letters`,
  );
}

function checkPass(given: Readonly<Record<string, unknown>>, prefix: string): void {
  for (const [name, wanted] of Object.entries(PASS_EXPORTS)) {
    if (typeof given[name] !== "function") throw wrong(prefix + name, given[name], wanted);
  }
  const { plan, tolerance } = given;
  if (typeof plan !== "function") {
    const variants = isRecord(plan) ? Object.entries(plan) : [];
    if (variants.length === 0) throw wrong(`${prefix}plan`, plan, PLAN);
    for (const [variant, planner] of variants) {
      if (!VARIANT.test(variant) || variant.length > LONGEST_NAME) {
        throw new RangeError(
          `${prefix}plan has a variant ${describe(variant)}, wanted letters, digits and hyphens`,
        );
      }
      if (["chosen", "all"].includes(variant)) {
        throw new RangeError(
          `${prefix}plan has a variant ${variant}, which --variants takes for a group of variants`,
        );
      }
      if (typeof planner !== "function") throw wrong(`${prefix}plan.${variant}`, planner, PLAN);
    }
  }
  if (tolerance === undefined) return;
  if (typeof tolerance === "number" && tolerance > 0 && tolerance < 1) return;
  throw new RangeError(
    `${prefix}tolerance is ${describe(tolerance)}, wanted a relative error between 0 and 1`,
  );
}

function wrong(name: string, given: unknown, wanted: string): TypeError {
  return new TypeError(
    given === undefined
      ? `exports no ${name}, wanted ${wanted}`
      : `${name} is ${describe(given)}, wanted ${wanted}`,
  );
}
