/** Starts a measuring process, sends it requests, and receives its reports. */
import { readLines } from "../../files/json_lines.ts";
import type { ChildConnection, ChildEvent, ChildReport, ChildRequest } from "./protocol.ts";
import type { ChildCommand } from "../../processes.ts";
import { ChildReports } from "./reports.ts";

const STDERR_TAIL = 2000;

/** A running measuring process. */
export class MeasuringChild implements ChildConnection {
  readonly #process: Deno.ChildProcess;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reports = new ChildReports();
  readonly #done: Promise<void>;
  #stderr = "";

  /**
   * Starts the process.
   *
   * @throws {Deno.errors.NotCapable} without the permission to run it
   * @throws {Deno.errors.NotFound} if there is no such command
   */
  constructor({ command, args }: ChildCommand) {
    this.#process = new Deno.Command(command, {
      args: [...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1" },
    }).spawn();
    this.#requests = this.#process.stdin.getWriter();
    this.#done = this.#follow();
  }

  /** See {@linkcode ChildConnection}. */
  send(request: ChildRequest): void {
    const line = new TextEncoder().encode(JSON.stringify(request) + "\n");
    this.#requests.write(line).catch(() => {});
  }

  /** See {@linkcode ChildConnection}. */
  hurry(patience: number): void {
    this.#reports.hurry(patience);
  }

  /** See {@linkcode ChildConnection}. */
  next(patience: number): Promise<ChildEvent> {
    return this.#reports.next(patience);
  }

  /** See {@linkcode ChildConnection}. */
  async kill(): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // The process has ended already.
    }
    await this.#done;
  }

  /**
   * Closes stdin, which asks the process to end. Kills the process if it does not end in time.
   *
   * @param patience the longest wait, in ms
   */
  async close(patience: number): Promise<void> {
    await this.#requests.close().catch(() => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patience);
    await Promise.race([this.#done, promise]);
    clearTimeout(timer);
    await this.kill();
  }

  async #follow(): Promise<void> {
    const { stdout, stderr, status } = this.#process;
    await Promise.all([this.#readReports(stdout), this.#readErrors(stderr)]);
    const { code, signal } = await status;
    const lines = this.#stderr.trim().split("\n").filter((line) => !isNoise(line));
    // Prefer a line with a message; a stack trace does not help the user.
    const message = lines.find((line) => /error|panicked/i.test(line)) ?? lines.at(-1);
    const said = message === undefined ? "" : `, saying: ${message.trim().slice(0, 500)}`;
    this.#reports.end(
      signal === null
        ? `the process ended with code ${code}${said}`
        : `the process ended by ${signal}${said}`,
    );
  }

  async #readReports(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const report of readLines<ChildReport>(stdout)) {
      this.#reports.add(report);
    }
  }

  // Shows the child's notices, such as a driver's download, to the user. Other output, from
  // drivers, is kept to explain the process's end.
  async #readErrors(stderr: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stderr.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      lines.forEach(showNotice);
      this.#stderr = (this.#stderr + text).slice(-STDERR_TAIL);
    }
    showNotice(rest);
  }
}

function showNotice(line: string): void {
  if (line.startsWith("gradsink: ")) console.error(line);
}

// Whether a line cannot explain why the process ended: the line is empty, a notice, or one that
// drivers print at every start.
function isNoise(line: string): boolean {
  return line.trim() === "" || /XDG_RUNTIME_DIR|artificially reduced|^gradsink: /.test(line);
}
