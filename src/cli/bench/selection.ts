/** What `deno task bench` measures, as the command line or an incomplete result file says. */
import type { OperatorOutline } from "../../measure/custom_operator.ts";
import type { CacheState, ResultSettings } from "../../measure/result_file.ts";
import type { GridName, PassName } from "../../measure/workloads/operator.ts";
import { type OperatorName, operatorNames, passesOf } from "../../measure/workloads/operators.ts";
import {
  gridNames,
  shapeNamesOf,
  shapeOfLengths,
  shapesOf,
} from "../../measure/workloads/shapes.ts";
import {
  namedVariantsOf,
  type NumberFormat,
  numberFormatOf,
  numberFormats,
  variantsOf,
} from "../../measure/workloads/variants.ts";
import { UsageError } from "../shared/arguments.ts";
import {
  adapterOption,
  budgetSeconds,
  oneOf,
  runtime,
  type RuntimeChoice,
  software,
  type SoftwareChoice,
  someOf,
  tuning,
} from "../shared/options.ts";

/** What to measure. */
export interface Selection {
  readonly kernels: readonly OperatorName[];
  readonly passes: readonly PassName[];
  /** A grid's name, or a list of shapes: each by its name or by its lengths. */
  readonly shapes: GridName | readonly string[];
  readonly dtypes: readonly NumberFormat[];
  readonly caches: readonly CacheState[];
  readonly variants: "chosen" | "all" | readonly string[];
  readonly runtime: RuntimeChoice;
  readonly software: SoftwareChoice;
  /** The adapter's name or number; undefined for the usual adapter. */
  readonly adapter?: string;
  /** Whether to use the tuner's choices. */
  readonly tuning: "on" | "off";
  readonly seed: number;
  /** Seconds; undefined for the adapter's default. */
  readonly budget: number | undefined;
  /** The custom operator of `--operator`. */
  readonly operator?: AddedOperator;
}

/** A custom operator beside the built-in ones. */
export type AddedOperator = Pick<OperatorOutline, "name" | "digest">;

const passNames: readonly PassName[] = ["forward", "backward"];
const caches: readonly CacheState[] = ["hot", "cold"];

/**
 * Reads the selection of an incomplete result file.
 *
 * @param settings the file's settings, possibly a stranger's
 * @param given the command line's budget in seconds and custom operator
 * @throws {UsageError} if the settings hold no valid selection, or select another custom operator
 *   than `given`
 */
export function selectionOf(
  settings: ResultSettings,
  { budget, operator: added }: Pick<Selection, "budget" | "operator">,
): Selection {
  const { selection } = settings;
  if (typeof selection !== "object" || selection === null) {
    throw new UsageError("--resume: the file does not say what to measure");
  }
  const stored = selection as Record<string, unknown>;
  const { shapes } = stored;
  refuseOtherOperator(stored.operator, added);
  return checkSelection({
    ...stored,
    operator: added && { name: added.name, digest: added.digest },
    shapes: typeof shapes === "string" ? [shapes] : shapes,
    seed: settings.seed,
    budget: budget ?? stored.budget,
  });
}

// Refuses a file whose custom operator is not the one of the command line. The file may come from a
// stranger, so the file alone must not decide which program runs.
function refuseOtherOperator(stored: unknown, added: AddedOperator | undefined): void {
  const { name, digest } = typeof stored === "object" && stored !== null
    ? stored as Record<string, unknown>
    : {};
  if (name === added?.name && digest === added?.digest) return;
  const text = (operator: { name?: unknown; digest?: unknown }) =>
    `${String(operator.name).slice(0, 60)} of digest ${String(operator.digest).slice(0, 16)}`;
  throw new UsageError(
    name === undefined
      ? "--operator with --resume: the file measures no custom operator"
      : added === undefined
      ? `--resume: the file measures ${text({ name, digest })}; give --operator=FILE as before`
      : `--resume: the file measures ${text({ name, digest })}, --operator is ${text(added)}; ` +
        "begin a new file",
  );
}

/**
 * Checks the lengths that `--shape` gives.
 *
 * @throws {UsageError} if they are not the lengths of any operator
 */
export function checkLengths(text: string): void {
  if (operatorNames.some((kernel) => shapeOfLengths(kernel, text) !== undefined)) return;
  const lengths = operatorNames.map((kernel) =>
    `${kernel} ${Object.keys(shapesOf(kernel, { software: false })[0]!.dimensions).join(" ")}`
  );
  throw new UsageError(
    `--shape is ${
      JSON.stringify(text.slice(0, 100))
    }, wanted the lengths of an operator, each at ` +
      `least 1, as in B1,H8,T1024,D64: ${lengths.join("; ")}`,
  );
}

/**
 * Checks a selection. The types of its fields are unknown, because they may come from a file.
 *
 * @throws {UsageError} for a wrong field, or if nothing is left to measure
 */
export function checkSelection(given: { readonly [field: string]: unknown }): Selection {
  const chosen = {
    kernels: someOf("kernels", { given: given.kernels, known: operatorNames }),
    passes: someOf("passes", { given: given.passes, known: passNames }),
    caches: someOf("cache", { given: given.caches, known: caches }),
    runtime: oneOf("runtime", { given: given.runtime, known: runtime.choices }),
    software: oneOf("software", {
      given: given.software,
      known: software.choices,
    }),
    ...adapterOption(given.adapter === undefined ? undefined : String(given.adapter)),
    // Older files lack this setting.
    tuning: oneOf("tuning", { given: given.tuning ?? "on", known: tuning.choices }),
    ...given.operator === undefined ? {} : { operator: given.operator as AddedOperator },
  };
  const { seed, budget: seconds } = given;
  if (!Number.isSafeInteger(seed)) throw new UsageError(`--seed is ${seed}, wanted a whole number`);
  const budget = seconds === undefined ? undefined : budgetSeconds(seconds);
  if (
    !chosen.kernels.some((kernel) => chosen.passes.some((p) => passesOf(kernel).includes(p)))
  ) {
    throw new UsageError(
      `--kernels and --passes leave nothing: ${chosen.kernels.join(", ")} has no ${
        chosen.passes.join(", ")
      }`,
    );
  }
  const variants = variantSelection(given.variants, chosen);
  return {
    ...chosen,
    shapes: shapeSelection(given.shapes, chosen.kernels),
    variants,
    dtypes: formatSelection(given.dtypes, { ...chosen, variants }),
    seed: seed as number,
    budget,
  };
}

function shapeSelection(given: unknown, chosen: readonly OperatorName[]): GridName | string[] {
  if (given === undefined) return "default";
  const names = Array.isArray(given) ? given as unknown[] : [given];
  const grid = names.find((name) => gridNames.includes(name as GridName)) as GridName | undefined;
  if (grid !== undefined) {
    if (names.length === 1) return grid;
    throw new UsageError(`--shapes mixes the grid ${grid} with other names`);
  }
  const known = [...gridNames, ...new Set(chosen.flatMap(shapeNamesOf))];
  return names.map((name) =>
    chosen.some((kernel) => shapeOfLengths(kernel, String(name)) !== undefined)
      ? String(name)
      : oneOf("shapes", { given: name, known })
  );
}

interface Operators {
  readonly kernels: readonly OperatorName[];
  readonly passes: readonly PassName[];
}

// Lists the variants of these operators and passes, each with the number format it computes in.
function variantsIn({ kernels, passes }: Operators) {
  return kernels.flatMap((kernel) =>
    passes.filter((pass) => passesOf(kernel).includes(pass)).flatMap((pass) =>
      [...variantsOf(kernel, pass), ...namedVariantsOf(kernel, pass)]
        .map((name) => ({ name, format: numberFormatOf(kernel, pass, name) }))
    )
  );
}

function variantSelection(given: unknown, operators: Operators): Selection["variants"] {
  if (given === undefined) return "chosen";
  const names = Array.isArray(given) ? given as unknown[] : [given];
  const [first] = names;
  if (names.length === 1 && (first === "chosen" || first === "all")) return first;
  const known = [...new Set(variantsIn(operators).map(({ name }) => name))];
  return names.map((name) => oneOf("variants", { given: name, known }));
}

function formatSelection(
  given: unknown,
  { variants, ...operators }: Operators & Pick<Selection, "variants">,
): readonly NumberFormat[] {
  const selected = typeof variants === "string"
    ? ["f32"]
    : variantsIn(operators).filter(({ name }) => variants.includes(name))
      .map(({ format }) => format);
  const own = numberFormats.filter((format) => selected.includes(format));
  if (given === undefined) return own;
  const formats = someOf("dtypes", { given, known: numberFormats });
  if (formats.some((format) => own.includes(format))) return formats;
  throw new UsageError(
    `--dtypes is ${formats.join(", ")}, and the variants compute in ${
      own.join(", ")
    }: --variants names others`,
  );
}
