/** Joins kernels' WGSL and compiles each kernel once per device. */
import { GpuError } from "./gpu_error.ts";
import type { Runtime } from "./gpu_info.ts";
import { type KernelBinding, kernelBindings } from "./plan/kernel_bindings.ts";
import { type Specialization, specialize } from "./specialize.ts";

/** A part of a kernel's WGSL with the name of its file. */
export interface KernelPart {
  /** For example `attention/forward.wgsl`; error messages name it. */
  readonly file: string;
  /** The WGSL text. */
  readonly source: string;
}

/** A kernel: WGSL parts to join in order, and the values of their constants. */
export interface Kernel {
  /** Helper files first, the kernel's own file last. */
  readonly parts: readonly KernelPart[];
  /** New values, by name, for the parts' `const` and `alias` declarations. */
  readonly constants?: Specialization;
  /** Language features it uses; their `enable` lines go before the parts. */
  readonly features?: readonly LanguageFeature[];
}

/** A kernel's complete text, as the device compiles it. */
export interface PreparedKernel {
  /** The parts after rewriting. */
  readonly parts: readonly KernelPart[];
  /** The whole WGSL. */
  readonly code: string;
  /** The line of `code` at which the first part begins. */
  readonly firstLine: number;
  /** The bindings it declares in group 0; undefined if the text computes a binding's number. */
  readonly bindings: readonly KernelBinding[] | undefined;
}

/**
 * A WGSL language feature that the kernels can use. `unchecked-subgroups` is for kernels with
 * subgroup operations in which all lanes take part, although Tint (the WGSL compiler of Dawn and
 * Chromium) cannot see that.
 */
export type LanguageFeature = "f16" | "subgroups" | "unchecked-subgroups";

/**
 * The lines that enable a language feature. Dawn and browsers need `enable subgroups;`, and for
 * `unchecked-subgroups` also a line that turns off their check that control flow is uniform. Deno
 * has no such check and needs neither line: it does not know the first, and prints an error about
 * the second.
 *
 * @param feature the feature
 * @param runtime the runtime that will compile the kernel
 */
export function enableLine(feature: LanguageFeature, runtime: Runtime): string {
  if (feature === "f16") return "enable f16;\n";
  if (runtime === "deno") return "";
  return feature === "subgroups"
    ? "enable subgroups;\n"
    : "enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n";
}

/** The compute pipelines of one device, each compiled once. */
export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #runtime: Runtime;
  readonly #report: (check: Promise<GpuError | undefined>) => void;
  readonly #prepared = new Map<string, PreparedKernel>();
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  /** Returns the text to compile for a part. Tests replace this function to break a kernel. */
  rewrite: (part: KernelPart) => string = (part) => part.source;

  /**
   * Creates an empty cache.
   *
   * @param device the device to compile for
   * @param runtime the device's runtime
   * @param report called once for each compilation, with a promise of its error or of undefined
   */
  constructor(
    device: GPUDevice,
    runtime: Runtime,
    report: (check: Promise<GpuError | undefined>) => void,
  ) {
    this.#device = device;
    this.#runtime = runtime;
    this.#report = report;
  }

  /**
   * Returns the pipeline of a kernel, compiled at the first call. If compilation fails, the next
   * read or sync rejects with a `GpuError` that names the WGSL line.
   *
   * @param operator the operator that asks, for error messages
   * @param kernel what to compile; its entry point is `main`
   * @returns the pipeline, with an automatic layout
   * @throws {TypeError} if the kernel lacks a declaration named in `constants`
   */
  get(operator: string, kernel: Kernel): GPUComputePipeline {
    return this.compile(operator, this.prepare(kernel));
  }

  /**
   * Joins a kernel's text and reads its bindings, without compiling.
   *
   * @param kernel the kernel
   * @throws {TypeError} if the kernel lacks a declaration named in `constants`
   */
  prepare(kernel: Kernel): PreparedKernel {
    const enable = (kernel.features ?? [])
      .map((feature) => enableLine(feature, this.#runtime)).join("");
    const parts = kernel.parts.map((part) => ({ file: part.file, source: this.rewrite(part) }));
    const body = parts.map((part) => part.source).join("\n");
    const code = enable + specialize(body, kernel.constants ?? {});
    const known = this.#prepared.get(code);
    if (known !== undefined) return known;
    const firstLine = enable.split("\n").length;
    const prepared = { parts, code, firstLine, bindings: kernelBindings(code) };
    this.#prepared.set(code, prepared);
    return prepared;
  }

  /**
   * Returns the pipeline of a kernel from `prepare`, compiled at the first call.
   *
   * @param operator the operator that asks, for error messages
   * @param kernel the prepared kernel
   */
  compile(operator: string, { parts, code, firstLine }: PreparedKernel): GPUComputePipeline {
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
    this.#report(outcome(operator, parts, { code, firstLine, module, scope }));
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
  readonly firstLine: number;
  readonly module: GPUShaderModule;
  readonly scope: Promise<GPUError | null>;
}

async function outcome(
  operator: string,
  parts: readonly KernelPart[],
  { code, firstLine, module, scope }: Compilation,
): Promise<GpuError | undefined> {
  const [info, error] = await Promise.all([module.getCompilationInfo(), scope]);
  const message = info.messages.find((message) => message.type === "error");
  if (message !== undefined) {
    const place = locate(parts, message.lineNum - firstLine + 1);
    const line = code.split("\n")[message.lineNum - 1]?.trim() ?? "";
    // Deno's message begins with the shader's label, a file name. Drop it: `place` names the file.
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

// The file and line that a line of the joined source comes from.
function locate(parts: readonly KernelPart[], line: number): string {
  let first = 1;
  for (const part of parts) {
    const lines = part.source.split("\n").length;
    if (line < first + lines) return `${part.file}:${line - first + 1}`;
    first += lines;
  }
  return `line ${line}`;
}
