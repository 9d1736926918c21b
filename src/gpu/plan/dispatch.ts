/** What a plan is made of: its dispatches, what they bind, and what a run costs. */
import type { Scalar } from "../owner.ts";
import type { Kernel } from "../pipelines.ts";
import type { Tensor } from "../tensor.ts";

/**
 * The least arithmetic and memory traffic that an operation needs: each input read once, each
 * output written once. Throughput figures divide these by time; nothing else counts operations.
 */
export interface Cost {
  /** Floating-point operations; a multiply-add counts as two. */
  readonly flops: number;
  /** Bytes read and written. */
  readonly bytes: number;
}

/** What a kernel's storage binding is bound to. */
export type Bound = Tensor | GPUBuffer | GPUBufferBinding;

/** One dispatch of a plan. */
export interface Dispatch {
  /** What to run. */
  readonly kernel: Kernel;
  /**
   * The kernel's uniform parameters, in the order of its struct. They are always binding 0. An
   * empty list for a kernel that declares no uniform.
   */
  readonly parameters: readonly Scalar[];
  /**
   * The kernel's storage buffers, bound from 1 on. A tensor can be a slice that begins anywhere:
   * where WebGPU cannot bind it, the plan copies it.
   */
  readonly buffers: readonly Bound[];
  /** Workgroups in x, y and z. */
  readonly workgroups: readonly [number, number?, number?];
}

/** What `Plan` is made from. */
export interface PlanOptions {
  /** The operator's name: errors and measurements carry it. */
  readonly operator: string;
  /** What one run costs at the least. */
  readonly cost: Cost;
  /** The dispatches in the order of execution; each sees what the ones before it wrote. */
  readonly dispatches: readonly Dispatch[];
  /** Buffers that the plan owns: freed when it is disposed of, or cannot be made. */
  readonly scratch?: readonly GPUBuffer[];
  /**
   * The operator's arguments and results by name; lists and objects of tensors are searched, other
   * values passed over. No tensor that the plan writes may share memory with another one. Default:
   * only what one dispatch binds is compared.
   */
  readonly tensors?: Readonly<Record<string, unknown>>;
}
