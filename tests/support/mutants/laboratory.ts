/** Breaks kernels, and runs the properties that must fail on them. */
import { type Gpu, GpuError } from "../../../mod.ts";
import { assert } from "../assert/assert.ts";
import type { Property } from "../check_cases.ts";
import { siblingGpu } from "../gpu.ts";
import type { Mutant } from "./mutant.ts";

/** Breaks portable kernels on the device of a `Gpu`. All mutants share the unbroken kernels. */
export class MutantLaboratory {
  readonly #device: Gpu;
  #gpu: Gpu;

  constructor(gpu: Gpu) {
    this.#device = gpu;
    this.#gpu = this.#open();
  }

  #open(): Gpu {
    const gpu = siblingGpu(this.#device, {});
    gpu.variants.get = () => "portable";
    return gpu;
  }

  /**
   * Throws if a property fails on the unbroken kernels, because its failure on mutants would then
   * show nothing.
   */
  async checkHealthy(property: Property): Promise<void> {
    await property(this.#gpu);
    await this.#gpu.sync();
  }

  /**
   * Checks that the property fails on the broken kernel because of wrong numbers.
   *
   * @throws {Error} if the mutant does not apply, its kernel did not run, it survived, or the
   *   property failed for another reason, such as a kernel that does not compile
   */
  async check({ name, file, find, times, replace, caughtBy }: Mutant): Promise<void> {
    const gpu = this.#gpu;
    let applied = false;
    const { rewrite } = gpu.pipelines;
    const breakKernel: typeof rewrite = (part) => {
      if (part.file !== file) return part.source;
      const found = part.source.split(find).length - 1;
      if (found !== times) {
        throw new TypeError(`${file} has "${find}" ${found} times, the mutant wants ${times}`);
      }
      applied = true;
      return part.source.replaceAll(find, () => replace);
    };
    gpu.pipelines.rewrite = breakKernel;
    let failure: unknown;
    try {
      await caughtBy(gpu);
    } catch (error) {
      failure = error;
    } finally {
      gpu.pipelines.rewrite = rewrite;
    }
    const what = `${file}: ${name}`;
    const cause = failure instanceof Error ? failure.cause ?? failure : failure;
    if (cause instanceof TypeError && cause.message.includes("the mutant wants")) throw cause;
    assert(applied, `${what}: the kernel did not run`);
    assert(failure !== undefined, `${what}: survived`);
    const broken = await gpu.sync().then(() => undefined, (error: unknown) => error);
    const refused = cause instanceof GpuError || cause instanceof TypeError;
    if (broken !== undefined || refused) {
      this.#gpu = this.#open();
      throw new Error(`${what}: failed for another reason`, { cause: broken ?? cause });
    }
  }
}
