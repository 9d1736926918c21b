/** Runs operators on a given variant, with its kernels rewritten or broken on purpose. */
import type { Gpu } from "../../mod.ts";
import { assert, assertRejects } from "./assert/assert.ts";
import { siblingGpu, testGpu } from "./gpu.ts";
import { describeReport, type Report } from "./report.ts";

/** A property that every kernel must have. */
export type KernelProperty = (gpu: Gpu) => Promise<Report>;

/** For each kernel's file, the function that changes its source before it is compiled. */
export type Rewrites = Readonly<Record<string, (source: string) => string>>;

/**
 * Returns a Gpu, `sibling`, on which every operator chooses this variant. `used` collects the files
 * of the kernels that `sibling` compiles.
 */
export function forceVariant(
  gpu: Gpu,
  variant: string,
  rewrites: Rewrites = {},
): { readonly sibling: Gpu; readonly used: ReadonlySet<string> } {
  const sibling = siblingGpu(gpu, {});
  sibling.variants.get = () => variant;
  const used = new Set<string>();
  sibling.pipelines.rewrite = ({ file, source }) => {
    used.add(file);
    return rewrites[file]?.(source) ?? source;
  };
  return { sibling, used };
}

/** Checks properties of a variant, and that its kernels ran. */
export async function checkVariant(gpu: Gpu, { variant, kernels, rewrites, properties }: {
  readonly variant: string;
  readonly kernels: readonly string[];
  readonly rewrites?: Rewrites;
  readonly properties: readonly KernelProperty[];
}): Promise<void> {
  const { sibling, used } = forceVariant(gpu, variant, rewrites);
  for (const property of properties) console.log(`    ${describeReport(await property(sibling))}`);
  await sibling.sync();
  for (const file of kernels) assert(used.has(file), `${file} did not run`);
}

/**
 * A kernel's file, the property that must fail on its mutants, and the mutants by name. A mutant is
 * the text to find and its replacement.
 */
export type KernelMutants = readonly [
  file: string,
  caughtBy: KernelProperty,
  mutants: Readonly<Record<string, readonly [find: RegExp, replace: string]>>,
];

/**
 * Registers a test for each mutant: the mutant's property must fail because of wrong numbers.
 *
 * @param rewrites changes to the kernels before they are broken
 * @param unfit why the variant cannot run here, or undefined if it can. If given, the tests are
 *   ignored, and their names state this reason
 */
export function testMutants(
  variant: string,
  rewrites: Rewrites,
  mutants: readonly KernelMutants[],
  unfit?: string,
): void {
  for (const [file, caughtBy, ways] of mutants) {
    for (const [name, [find, replace]] of Object.entries(ways)) {
      Deno.test({
        name: `mutant of ${file}: ${name}${unfit === undefined ? "" : ` [${unfit}]`}`,
        ignore: unfit !== undefined,
        async fn() {
          let found = 0;
          const { sibling } = forceVariant(await testGpu("deno"), variant, {
            ...rewrites,
            [file](source) {
              const healthy = rewrites[file]?.(source) ?? source;
              found += healthy.match(find)?.length ?? 0;
              return healthy.replace(find, replace);
            },
          });
          await assertRejects(() => caughtBy(sibling), Error, "Property failed");
          assert(found > 0, `the kernel has no ${find}`);
          await sibling.sync(); // it compiled, so the property caught wrong numbers
        },
      });
    }
  }
}
