/**
 * The frame of every command: reads the command line, prints help and reports a failure in one
 * line.
 */
import { escapeTerminal } from "../../escape.ts";
import { UsageError } from "./arguments.ts";
import { type CommandOutput, OutputError, standardOutput } from "./output.ts";
import { type InterruptOptions, listenForInterrupts } from "./interrupts.ts";
import { enterUserFolder, startWithFlags } from "./place.ts";

/** What differs between commands. */
export interface Command<Request> {
  /** The name after `deno task`; the command's lines on standard error begin with it. */
  readonly name: string;
  /**
   * Reads the command line. Returns undefined if the user asks for help.
   *
   * @throws {UsageError} for a mistake
   */
  readonly parse: (
    args: readonly string[],
  ) => Request | undefined | Promise<Request | undefined>;
  /** The text of `--help`. */
  readonly help: () => string;
  /** Returns the exit code. */
  readonly run: (request: Request) => Promise<number>;
  /**
   * Whether an error's message alone explains it to a user. Any other error is a defect and is
   * thrown. Default: true for every error.
   */
  readonly explains?: (error: unknown) => boolean;
}

/**
 * Runs a command.
 *
 * @returns the exit code: 0 for help, 2 for a mistake in the command line, 1 for another failure,
 *   else the command's own code
 */
export async function runCommand<Request>(
  { name, parse, help, run, explains = () => true }: Command<Request>,
  args: readonly string[],
  output: CommandOutput,
): Promise<number> {
  try {
    const request = await parse(args);
    if (request !== undefined) return await run(request);
    output.out(help());
    return 0;
  } catch (error) {
    const usage = error instanceof UsageError;
    if (!usage && !(error instanceof OutputError) && !explains(error)) throw error;
    const message = error instanceof Error ? error.message : String(error);
    const hint = usage && !message.includes("--help") ? " (see --help)" : "";
    const start = error instanceof Deno.errors.NotCapable ? startWithFlags() : undefined;
    const how = start === undefined
      ? ""
      : `; deno task takes no such flags, so start with ${start}`;
    output.err(`${name}: ${escapeTerminal(message.replaceAll(/\s+/g, " ") + how)}${hint}\n`);
    return usage ? 2 : 1;
  }
}

export interface CommandProcess {
  /** Aborted by Ctrl-C. */
  readonly interrupt: AbortSignal;
  readonly output: CommandOutput;
}

/** Runs a command as this process, in the user's folder, and exits with its code. */
export async function runAsProcess<Request>(
  { run, ...command }: Omit<Command<Request>, "run"> & {
    readonly run: (request: Request, process: CommandProcess) => Promise<number>;
  },
  options?: InterruptOptions,
): Promise<never> {
  enterUserFolder();
  const interrupt = new AbortController();
  listenForInterrupts(interrupt, options);
  const process = { interrupt: interrupt.signal, output: standardOutput() };
  const whole = { ...command, run: (request: Request) => run(request, process) };
  // Exit explicitly: the signal listeners keep the process alive.
  Deno.exit(await runCommand(whole, Deno.args, process.output));
}
