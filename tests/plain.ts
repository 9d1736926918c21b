/**
 * `deno task test:plain`: checks that `deno test` and `deno bench` without flags never ask for a
 * permission. Instead, a test that needs a permission must be ignored, and say so in its name.
 *
 * All test files run without a flag and without a GPU, so most tests fail at once, which does not
 * matter here: only a refused permission counts. The check takes less than a minute on two idle
 * cores.
 */
import { fileURLToPath } from "node:url";
import { thisDeno } from "../src/processes.ts";

/** Deno's words for a refused permission. Code that queries a permission first uses other words. */
const REFUSAL = /NotCapable|\bRequires \w+ access\b/;

/** The commands to check. `ran` matches output that shows that the command ran at all. */
const commands: readonly { readonly args: readonly string[]; readonly ran: RegExp }[] = [
  {
    args: ["test", "--parallel", "--no-check", "--preload=tests/support/without_gpu.ts"],
    ran: /\b[1-9]\d{2,} passed\b/,
  },
  { args: ["bench", "--no-check", "--preload=tests/support/without_gpu.ts"], ran: /adapter/ },
  // Without the preloaded module, this command opens a GPU if there is one. One bench file
  // suffices, because all bench files open a GPU with the same code.
  { args: ["bench", "--no-check", "bench/v_scale_bench.ts"], ran: /time\/iter|adapter/ },
];

/** The output's lines that report a refused permission. */
export function refusals(output: string): string[] {
  return output.split("\n").filter((line) => REFUSAL.test(line));
}

async function run(args: readonly string[]): Promise<string> {
  const [command, ...rest] = args;
  const { stdout, stderr } = await new Deno.Command(thisDeno(), {
    args: [command!, "--no-prompt", ...rest],
    env: { NO_COLOR: "1" },
    cwd: fileURLToPath(new URL("../", import.meta.url)),
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

if (import.meta.main) {
  for (const { args, ran } of commands) {
    const output = await run(args);
    const found = refusals(output);
    const shown = `deno ${args.join(" ")}`;
    if (found.length > 0) {
      console.error(`${shown} lacks permissions ${found.length} times:\n${found.join("\n")}`);
      Deno.exitCode = 1;
    } else if (!ran.test(output)) {
      console.error(`${shown} did not run:\n${output.slice(-4000)}`);
      Deno.exitCode = 1;
    } else console.log(`${shown}: no permission is missing`);
  }
}
