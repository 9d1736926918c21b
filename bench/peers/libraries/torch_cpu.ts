/** PyTorch on the CPU, seen from outside: python3 with torch, where it is installed. */
import { fileURLToPath } from "node:url";
import { absentContender, type Contender, startContender } from "../contender.ts";
import type { PeerRequest } from "../protocol.ts";
import { EPSILON, inputsOf } from "../works.ts";

/**
 * The system's own is tried, too: torch may be installed there while PATH leads elsewhere first.
 */
const PYTHONS = ["python3", "/usr/bin/python3"];

/** How to start it. */
export interface TorchOptions {
  /** The programs to try. */
  readonly pythons?: readonly string[];
}

/**
 * Starts the first Python that has torch.
 *
 * @param options the programs
 * @returns the process, which knows no numbers but those that go with each request
 */
export async function startTorch({ pythons = PYTHONS }: TorchOptions = {}): Promise<Contender> {
  const script = new URL("torch_cpu.py", import.meta.url);
  const reasons: string[] = [];
  for (const command of pythons) {
    const contender = startContender([fileURLToPath(script)], { command });
    const reply = await contender.ready;
    if (reply.type === "ready") return withNumbers(contender);
    await contender.close();
    reasons.push(reply.type === "failed" ? reply.reason : "an answer out of turn");
  }
  // The system's own is an afterthought: that it is missing as well says nothing.
  return absentContender(reasons[0]!);
}

// Sends the numbers along, because Python cannot draw them as works.ts does.
function withNumbers(contender: Contender): Contender {
  return {
    ...contender,
    ask(request) {
      if (request.type !== "prepare") return contender.ask(request);
      const inputs = Object.entries(inputsOf(request.work)).map(([name, numbers]) =>
        [name, new Uint8Array(numbers.buffer).toBase64()] as const
      );
      const whole: PrepareInPython = {
        ...request,
        epsilon: EPSILON,
        inputs: Object.fromEntries(inputs),
      };
      return contender.ask(whole);
    },
  };
}

type PrepareInPython = Extract<PeerRequest, { type: "prepare" }> & {
  readonly epsilon: number;
  /** Float32, little-endian, row-major, in base64. */
  readonly inputs: Readonly<Record<string, string>>;
};
