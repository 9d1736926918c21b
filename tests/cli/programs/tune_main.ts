/**
 * For tests: the tuner with another measuring process. Usage: `tune_main.ts CHILD.ts [OPTIONS]`.
 */
import { runTune } from "../../../src/cli/tune.ts";

const [child, ...args] = Deno.args;
Deno.exit(
  await runTune(args, {
    child: { command: Deno.execPath(), args: ["run", "--quiet", "--no-lock", "-A", child!] },
    deadline: 12_000,
  }),
);
