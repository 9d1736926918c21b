/**
 * `deno task test:plain`: checks that `deno test` and `deno bench` without flags never ask for a
 * permission. A test that needs one must be ignored by name.
 *
 * All test files run without a flag and without a GPU, for which most tests end at once: they fail,
 * and that is no matter here. What counts is whether Deno refused something. The whole takes less
 * than a minute on two idle cores.
 */
import { fileURLToPath } from "node:url";
import { thisDeno } from "../src/processes.ts";

/**
 * What Deno says where it refuses something; the search for an adapter asks first, and says it in
 * its own words.
 */
const REFUSAL = /NotCapable|\bRequires \w+ access\b/;

/** Commands, and what each must say in the end to have run at all. */
const commands: readonly { readonly args: readonly string[]; readonly ran: RegExp }[] = [
  {
    args: ["test", "--parallel", "--no-check", "--preload=tests/support/without_gpu.ts"],
    ran: /\b[1-9]\d{2,} passed\b/,
  },
  { args: ["bench", "--no-check", "--preload=tests/support/without_gpu.ts"], ran: /adapter/ },
  // One file with the GPU, where there is one: what all of them share.
  { args: ["bench", "--no-check", "bench/v_scale_bench.ts"], ran: /time\/iter|adapter/ },
];

/** The lines of an output that report a refusal. */
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
