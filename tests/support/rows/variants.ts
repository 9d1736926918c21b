/**
 * Runs the properties of RMSNorm and V-scale on one variant, with whole kernels and with broken
 * ones.
 */
import { Gpu } from "../../../mod.ts";
import { assert } from "../assert/assert.ts";
import type { Property, PropertyOptions } from "../check_cases.ts";
import { describeReport } from "../report.ts";
import type { Mutant } from "../mutants/mutant.ts";

export interface RowVariant {
  readonly name: string;
  /** Operators whose names begin with this run the variant; all others run `portable`. */
  readonly operator: "rmsNorm" | "vScale";
  /** Files of kernels that the variant must have compiled once its properties are checked. */
  readonly files: readonly string[];
  /** Makes the `Gpu` pass for a hardware GPU on which this many subgroups share a row. */
  readonly hardware?: "one subgroup" | "several subgroups";
  /** The variant's kernels need subgroups of at least this many lanes. Default: 1. */
  readonly leastLanes?: number;
}

export function unfitRowVariant(
  { info: { subgroupSize } }: Gpu,
  { name, leastLanes = 1 }: RowVariant,
): string | undefined {
  if (!["subgroup", "tile"].includes(name)) return undefined;
  if (subgroupSize === undefined) return "the adapter has no subgroups";
  return subgroupSize.minimum < leastLanes
    ? `the adapter's subgroups have fewer than ${leastLanes} lanes`
    : undefined;
}

/**
 * A `Gpu` on the same device that chooses the variant for every shape that it can run. Never
 * dispose of it: that would destroy the shared device.
 */
function withVariant(gpu: Gpu, { name, operator, hardware }: RowVariant): Gpu {
  // If subgroups can have several sizes, a workgroup must allow for several subgroups.
  const sizes = hardware === "several subgroups"
    ? { subgroupSize: { minimum: 4, maximum: 128 } }
    : {};
  const info = hardware === undefined ? gpu.info : { ...gpu.info, software: false, ...sizes };
  const sibling = new Gpu(gpu.device, info);
  sibling.variants.get = (key) => key.startsWith(operator) ? name : "portable";
  return sibling;
}

/** Checks properties on one variant, and that its kernels ran. */
export async function checkVariant(
  gpu: Gpu,
  variant: RowVariant,
  { properties, options }: {
    readonly properties: readonly Property[];
    readonly options: PropertyOptions;
  },
): Promise<void> {
  const sibling = withVariant(gpu, variant);
  const compiled = new Set<string>();
  sibling.pipelines.rewrite = ({ file, source }) => {
    compiled.add(file);
    return source;
  };
  for (const property of properties) {
    console.log(`    ${describeReport(await property(sibling, options))}`);
  }
  for (const file of variant.files) {
    assert(compiled.has(file), `${variant.name}: ${file} has not run`);
  }
  await sibling.sync();
}

/**
 * Checks that a property fails on a mutant because of wrong numbers, and not because the kernel
 * does not compile. The text that the mutant replaces must occur in the kernel of some shape.
 */
export async function checkMutant(
  gpu: Gpu,
  variant: RowVariant,
  { name, file: brokenFile, find, replace, caughtBy }: Mutant,
): Promise<void> {
  const sibling = withVariant(gpu, variant);
  let broken = false;
  sibling.pipelines.rewrite = ({ file, source }) => {
    if (file !== brokenFile) return source;
    // If only some shapes' kernels contain the text, only those are broken.
    const text = source.replaceAll(find, replace);
    broken ||= text !== source;
    return text;
  };
  const failure = await caughtBy(sibling, { endOnFailure: true, runs: 10 }).then(
    () => undefined,
    (error: Error) => error,
  );
  const where = `${brokenFile}: ${name}`;
  assert(failure !== undefined, `${where}: survived`);
  assert(broken, `${variant.name}, ${where}: no kernel with "${find}" has run`);
  await sibling.sync(); // throws if the kernel did not compile
}
