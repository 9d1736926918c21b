/**
 * The messages between the comparison and the process that runs a library: one JSON object per
 * line, requests on its stdin, replies on its stdout. The process replies once to each request, and
 * once at its start.
 */

import type { Work } from "./works.ts";

/** Consecutive numbers of one result, row-major, for the library to return. */
export interface Stretch {
  readonly output: string;
  readonly start: number;
  readonly length: number;
}

/** A request to a library's process. */
export type PeerRequest =
  | { readonly type: "prepare"; readonly work: Work; readonly stretches: readonly Stretch[] }
  /** Enqueue this many runs of one of the prepared ways, and wait for them. */
  | { readonly type: "sample"; readonly way: number; readonly runs: number };

/** One of the library's ways to do the work, and the outcome of its first run. */
export interface PreparedWay {
  readonly name: string;
  /** The requested numbers; absent if the run failed. */
  readonly numbers?: readonly (readonly (number | null)[])[];
  readonly fault?: string;
  /** ms of the first run, including compilation. */
  readonly first?: number;
}

/** A library's reply. */
export type PeerReply =
  | {
    readonly type: "ready";
    readonly versions: Readonly<Record<string, string>>;
    /** The adapter; absent for a library that runs native code on the CPU. */
    readonly adapter?: string;
  }
  | { readonly type: "prepared"; readonly ways: readonly PreparedWay[] }
  /** ns of all runs together, in wall time and in CPU time of all the process's threads. */
  | { readonly type: "sampled"; readonly wall: number; readonly cpu: number }
  | { readonly type: "failed"; readonly reason: string };
