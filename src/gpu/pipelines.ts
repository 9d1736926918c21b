import { GpuError } from "./gpu_error.ts";
import { type Specialisation, specialise } from "./specialise.ts";

/** A piece of WGSL with the name of the file it comes from. */
export interface KernelPart {
  /** For example `attention_forward.wgsl`; error messages name it. */
  readonly file: string;
  /** The WGSL text. */
  readonly source: string;
}

/** A kernel: WGSL parts put one after the other, and the values of their constants. */
export interface Kernel {
  /** Helper files first, the kernel's own file last. */
  readonly parts: readonly KernelPart[];
  /** New values for `const` and `alias` declarations. */
  readonly constants?: Specialisation;
}

/**
 * The compute pipelines of one device, each compiled once.
 */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #report: (check: Promise<GpuError | undefined>) => void;
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  /** Rewrites each part before it is compiled. For tests that break a kernel on purpose. */
  rewrite: (part: KernelPart) => string = (part) => part.source;

  /**
   * Made by a `Gpu`.
   *
   * @param device the device to compile for
   * @param report takes the outcome of each compilation, which is known only later
   */
  constructor(device: GPUDevice, report: (check: Promise<GpuError | undefined>) => void) {
    this.#device = device;
    this.#report = report;
  }

  /**
   * The pipeline of a kernel, compiled now if it is new. A kernel that fails to compile ends as a
   * `GpuError` with the WGSL line, at the next read or sync.
   *
   * @param operator the operator that asks, for error messages
   * @param kernel what to compile; its entry point is `main`
   * @returns the pipeline, with an automatic layout
   * @throws {TypeError} if the kernel lacks a declaration named in `constants`
   */
  get(operator: string, kernel: Kernel): GPUComputePipeline {
    const parts = kernel.parts.map((part) => ({ file: part.file, source: this.rewrite(part) }));
    const code = specialise(parts.map((part) => part.source).join("\n"), kernel.constants ?? {});
    const known = this.#pipelines.get(code);
    if (known !== undefined) return known;
    const label = parts.at(-1)?.file ?? "kernel";
    this.#device.pushErrorScope("validation");
    const module = this.#device.createShaderModule({ label, code });
    const pipeline = this.#device.createComputePipeline({
      label,
      layout: "auto",
      compute: { module, entryPoint: "main" },
    });
    const scope = this.#device.popErrorScope();
    this.#report(outcome(operator, parts, { code, module, scope }));
    this.#pipelines.set(code, pipeline);
    return pipeline;
  }

  /** The number of compiled pipelines. */
  get size(): number {
    return this.#pipelines.size;
  }
}

interface Compilation {
  readonly code: string;
  readonly module: GPUShaderModule;
  readonly scope: Promise<GPUError | null>;
}

async function outcome(
  operator: string,
  parts: readonly KernelPart[],
  { code, module, scope }: Compilation,
): Promise<GpuError | undefined> {
  const [info, error] = await Promise.all([module.getCompilationInfo(), scope]);
  const message = info.messages.find((message) => message.type === "error");
  if (message !== undefined) {
    const place = locate(parts, message.lineNum);
    const line = code.split("\n")[message.lineNum - 1]?.trim() ?? "";
    // Deno puts the shader's label in front, which the place already tells.
    const text = (message.message.trim().split("\n")[0] ?? "").replace(
      /^Shader '.*?' parsing error: /,
      "",
    );
    return new GpuError(operator, `${place}:${message.linePos}: ${text}: ${line}`);
  }
  return error === null
    ? undefined
    : new GpuError(operator, `${parts.at(-1)?.file}: ${error.message}`);
}

// The file and line of a line of the joined source.
function locate(parts: readonly KernelPart[], line: number): string {
  let first = 1;
  for (const part of parts) {
    const lines = part.source.split("\n").length;
    if (line < first + lines) return `${part.file}:${line - first + 1}`;
    first += lines;
  }
  return `line ${line}`;
}
