/**
 * For tests: the bench with another measuring process. Usage: `bench_main.ts CHILD.ts [OPTIONS]`.
 */
import { bench } from "../../../src/cli/bench.ts";

const [child, ...args] = Deno.args;
Deno.exit(
  await bench(args, {
    child: { command: Deno.execPath(), args: ["run", "--quiet", "--no-lock", "-A", child!] },
    deadline: 12_000,
  }),
);
