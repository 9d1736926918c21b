/** PyTorch on the CPU, in a python3 process if torch is installed. */
import { fileURLToPath } from "node:url";
import { absentContender, type Contender, startContender } from "../contender.ts";
import type { PeerRequest } from "../protocol.ts";
import { EPSILON, inputsOf } from "../works.ts";

/**
 * The Python programs to try, in order. The first Python in PATH may lack torch when the system's
 * Python has it.
 */
const PYTHONS = ["python3", "/usr/bin/python3"];

/** Options of the process. */
export interface TorchOptions {
  /** The Python programs to try. */
  readonly pythons?: readonly string[];
}

/** Starts the first Python that has torch. */
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
  // Reports only the first program's reason. The user learns nothing from hearing that the system's
  // Python lacks torch, too.
  return absentContender(reasons[0]!);
}

// Sends the inputs along with a work, because Python cannot draw the random numbers of works.ts.
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
