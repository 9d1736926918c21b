/** Candidates that copy a buffer. */
import type { Gpu } from "../../../gpu/gpu.ts";
import { Plan } from "../../../gpu/plan.ts";
import copySource from "../../../../kernels/ceilings/copy.wgsl" with { type: "text" };
import type { Candidate, CeilingSize } from "./candidate.ts";

/** The candidates for the bandwidth's ceiling: several ways to copy one buffer to another. */
export function copyCandidates(gpu: Gpu, { copyBytes: bytes }: CeilingSize): Candidate[] {
  const source = gpu.storage(bytes);
  const copied = gpu.storage(bytes);
  const seed = 0x9e3779b1;
  // No two words are equal, so a memory controller cannot compress the data.
  const chunk = new Uint32Array(Math.min(bytes, 2 ** 24) / 4);
  const fillChunk = (first: number): Uint32Array<ArrayBuffer> => {
    for (let i = 0; i < chunk.length; i++) chunk[i] = Math.imul(first + i + 1, seed);
    return chunk;
  };
  for (let offset = 0; offset < bytes; offset += chunk.byteLength) {
    gpu.device.queue.writeBuffer(source, offset, fillChunk(offset / 4));
  }
  const forms = [
    { element: "vec4u", style: "coalesced" },
    { element: "vec4u", style: "runs" },
    { element: "u32", style: "coalesced" },
    { element: "u32", style: "runs" },
  ] as const;
  let users = forms.length;
  return forms.map(({ element, style }): Candidate => {
    const plan = copyPlan(gpu, { bytes, source, copied, element, style });
    return {
      method: `${style === "runs" ? "a run an invocation" : "coalesced"}, ${element} elements, ${
        bytes / 2 ** 20
      } MiB read and as many written`,
      plan,
      work: 2 * bytes,
      poison() {
        gpu.guard("ceilings", () => {
          const encoder = gpu.device.createCommandEncoder();
          encoder.clearBuffer(copied);
          gpu.device.queue.submit([encoder.finish()]);
        });
      },
      async fault() {
        for (let offset = 0; offset < bytes; offset += chunk.byteLength) {
          const words = new Uint32Array(
            await gpu.readBuffer(copied, { offset, size: chunk.byteLength }),
          );
          const wanted = fillChunk(offset / 4);
          const wrong = words.findIndex((word, i) => word !== wanted[i]);
          if (wrong >= 0) return `word ${offset / 4 + wrong} was not copied`;
        }
        return undefined;
      },
      dispose() {
        plan.dispose();
        if (--users > 0) return;
        gpu.free(source);
        gpu.free(copied);
      },
    };
  });
}

/** A copy of one buffer to another. */
export interface Copying {
  readonly bytes: number;
  readonly source: GPUBuffer;
  readonly copied: GPUBuffer;
  readonly element: "vec4u" | "u32";
  readonly style: "coalesced" | "runs";
  readonly scratch?: readonly GPUBuffer[];
}

/** Plans a copy. */
export function copyPlan(gpu: Gpu, copying: Copying): Plan {
  const { bytes, source, copied, element, style, scratch = [] } = copying;
  const elements = bytes / (element === "vec4u" ? 16 : 4);
  const invocations = style === "runs" ? 2 ** 13 : Math.min(2 ** 20, elements / 64);
  const run = elements / invocations;
  const groups = invocations / 64;
  const columns = Math.min(groups, 2 ** 15);
  return new Plan(gpu, {
    operator: "ceilings",
    cost: { flops: 0, bytes: 2 * bytes },
    scratch,
    dispatches: [{
      kernel: {
        parts: [{ file: "ceilings/copy.wgsl", source: copySource }],
        constants: { Element: element },
      },
      parameters: [
        { u32: run },
        { u32: style === "runs" ? 1 : invocations },
        { u32: style === "runs" ? run : 1 },
        { u32: 64 * columns },
      ],
      buffers: [source, copied],
      workgroups: [columns, groups / columns],
    }],
  });
}
