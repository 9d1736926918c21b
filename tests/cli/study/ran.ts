/** Runs `deno task study` in the test's process, with made-up training runs. */
import { join } from "node:path";
import { study } from "../../../src/cli/study.ts";
import { armName, type StudyArm } from "../../../src/experiments/study/arms.ts";
import { DEFAULT_SCALE } from "../../../src/experiments/study/settings.ts";
import { recordOutput } from "../record_output.ts";
import type { FakeOrder } from "../programs/study_fake_run.ts";

/** What the command did. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** The overview's output without a terminal. */
  readonly shown: string;
}

/** Runs the command in this process, with made-up training runs. */
export async function ran(
  args: readonly string[],
  options: {
    readonly pace?: number;
    readonly failing?: readonly number[];
    readonly signal?: AbortSignal;
    readonly started?: (arm: StudyArm) => void;
    readonly program?: string;
  } = {},
): Promise<Ran> {
  const { pace = 0, failing = [], started } = options;
  const output = recordOutput();
  let shown = "";
  const folder = args.find((arg) => arg.startsWith("--out="))?.slice("--out=".length) ?? "";
  const steps = Number(args.find((arg) => arg.startsWith("--steps="))?.slice("--steps=".length));
  const code = await study(args, output, {
    command(arm) {
      started?.(arm);
      const order: FakeOrder = {
        arm,
        scale: { ...DEFAULT_SCALE, steps, measurements: 5 },
        folder: join(folder, armName(arm)),
        pace,
        failing,
      };
      return {
        command: options.program ?? Deno.execPath(),
        args: [
          "run",
          "--quiet",
          "--no-check",
          "-A",
          new URL("../programs/study_fake_run.ts", import.meta.url).href,
          JSON.stringify(order),
        ],
      };
    },
    progress: {
      write: (text) => shown += text,
      columns: () => undefined,
      now: () => performance.now(),
    },
    signal: options.signal ?? new AbortController().signal,
  });
  return { code, ...output.texts, shown };
}

/** Options of a small study. */
export const SMALL = [
  "--settings=shallow",
  "--variants=none,learned",
  "--steps=10",
  "--measurements=5",
];
