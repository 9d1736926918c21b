/** Runs programs such as compilers. If a program fails, its last lines of output are reported. */

/** A program that failed; the message ends with the last lines that it wrote. */
export class ProgramError extends Error {
  override readonly name = "ProgramError";
}

/** Options of a program. */
export interface ProgramOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Ends the program. */
  readonly interrupt?: AbortSignal;
}

/**
 * Runs a program to its end.
 *
 * @returns what the program wrote to standard output
 * @throws {ProgramError} if the program does not exist or fails; once `interrupt` is aborted, the
 *   signal's reason instead
 */
export async function runProgram(
  [program, ...args]: readonly [string, ...string[]],
  { cwd, environment = {}, interrupt }: ProgramOptions = {},
): Promise<string> {
  const command = new Deno.Command(program, {
    args,
    env: { LC_ALL: "C", ...environment },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...cwd === undefined ? {} : { cwd },
    ...interrupt === undefined ? {} : { signal: interrupt },
  });
  let output: Deno.CommandOutput;
  try {
    output = await command.output();
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    throw new ProgramError(missing ? `${program} is not installed` : String(error));
  }
  const [out, err] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (output.success) return out!;
  interrupt?.throwIfAborted();
  const lines = `${out}\n${err}`.trim().split("\n").slice(-4).join(" / ");
  throw new ProgramError(`${program} ${args.slice(0, 2).join(" ")} failed: ${lines}`);
}

/** Whether a program can be started by its name. */
export async function hasProgram(program: string): Promise<boolean> {
  try {
    await new Deno.Command(program, {
      args: ["--version"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    return true;
  } catch {
    return false;
  }
}
