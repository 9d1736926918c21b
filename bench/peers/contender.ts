/** A library in a process of its own, seen from outside. */
import { readLines } from "../../src/measure/child_protocol.ts";
import type { PeerReply, PeerRequest } from "./protocol.ts";

/** How to talk to a library. */
export interface Contender {
  /** Asks one thing. What goes wrong, silence included, comes as `failed`. */
  ask(request: PeerRequest): Promise<PeerReply>;
  /** The reply at the start. */
  readonly ready: Promise<PeerReply>;
  /** Ends it. */
  close(): Promise<void>;
}

/** Loading may download a library, and a first run compiles: longer than this, in ms, counts as hanging. */
const PATIENCE = 180_000;

/**
 * Starts the process.
 *
 * @param args of `deno`
 * @param patience in ms for every answer
 */
export function startContender(args: readonly string[], patience: number = PATIENCE): Contender {
  // The program itself, where running it was allowed; else whatever deno the system finds.
  const self = Deno.execPath();
  const may = Deno.permissions.querySync({ name: "run", command: self });
  const command = may.state === "granted" ? self : "deno";
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const requests = child.stdin.getWriter();
  const replies = readLines<PeerReply>(child.stdout);
  let last = "";
  const errors = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      last = (last + text).slice(-2000);
    }
  })();
  let dead: string | undefined;
  function kill(): void {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
  async function next(): Promise<PeerReply> {
    if (dead !== undefined) return { type: "failed", reason: dead };
    const { promise, resolve } = Promise.withResolvers<"silent">();
    const timer = setTimeout(() => resolve("silent"), patience);
    const result = await Promise.race([promise, replies.next()]);
    clearTimeout(timer);
    if (result !== "silent" && result.done !== true) return result.value;
    if (result === "silent") {
      dead = `no answer for ${patience / 1000} s`;
      kill();
    } else {
      await errors;
      const line = last.trim().split("\n").find((each) => /error|panicked/i.test(each)) ?? "";
      dead = `the process ended: ${line.replaceAll(/\s+/g, " ").slice(0, 300)}`;
    }
    return { type: "failed", reason: dead };
  }
  return {
    ready: next(),
    async ask(request) {
      if (dead !== undefined) return { type: "failed", reason: dead };
      await requests.write(new TextEncoder().encode(JSON.stringify(request) + "\n"))
        .catch(() => {});
      return await next();
    },
    async close() {
      await requests.close().catch(() => {});
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, 2000);
      await Promise.race([child.status, promise]);
      clearTimeout(timer);
      kill();
      await Promise.all([child.status, errors]);
      await replies.return(undefined).catch(() => {});
    },
  };
}
