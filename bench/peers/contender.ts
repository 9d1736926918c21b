/** Talks to a library in another process. */
import { readLines } from "../../src/files/json_lines.ts";
import type { PeerReply, PeerRequest } from "./protocol.ts";
import { thisDeno } from "../../src/processes.ts";

/** The connection to a library. */
export interface Contender {
  /** Sends a request. If anything fails or no answer comes in time, the reply is `failed`. */
  ask(request: PeerRequest): Promise<PeerReply>;
  /** The library's reply at its start. */
  readonly ready: Promise<PeerReply>;
  /** Ends the library's process. */
  close(): Promise<void>;
}

/** The longest wait for a reply, in ms. Loading may download a library; a first run compiles. */
const PATIENCE = 180_000;

/** Options of a process. */
export interface StartOptions {
  /** The program. Default: this Deno. */
  readonly command?: string;
  /** The longest wait for an answer, in ms. */
  readonly patience?: number;
}

/** Starts a library's process. If it cannot start, `ready` says why. */
export function startContender(
  args: readonly string[],
  { command = thisDeno(), patience = PATIENCE }: StartOptions = {},
): Contender {
  try {
    const child = new Deno.Command(command, {
      args: [...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1" },
    }).spawn();
    return talkTo(child, patience);
  } catch (error) {
    return absentContender(notStarted(command, error));
  }
}

function notStarted(command: string, error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return `there is no ${command}`;
  if (error instanceof Deno.errors.NotCapable) return `running ${command} was not allowed`;
  return `${command} does not start: ${error instanceof Error ? error.message : error}`;
}

/** Stands for a library that is not installed or does not start. */
export function absentContender(reason: string): Contender {
  const reply: PeerReply = { type: "failed", reason };
  return {
    ready: Promise.resolve(reply),
    ask: () => Promise.resolve(reply),
    close: () => Promise.resolve(),
  };
}

function talkTo(child: Deno.ChildProcess, patience: number): Contender {
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
      // The process has already ended.
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
      const said = line.replaceAll(/\s+/g, " ").slice(0, 300);
      dead = said === "" ? "the process ended" : `the process ended: ${said}`;
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
