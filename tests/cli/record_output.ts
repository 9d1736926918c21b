/** Records a command's output, for tests that run a command in their own process. */
import type { CommandOutput } from "../../src/cli/shared/output.ts";

export interface RecordedOutput extends CommandOutput {
  readonly texts: { out: string; err: string };
}

/** Makes an output without colors that records the texts written to it. */
export function recordOutput(): RecordedOutput {
  const texts = { out: "", err: "" };
  return {
    texts,
    out: (text) => void (texts.out += text),
    err: (text) => void (texts.err += text),
    color: false,
  };
}
