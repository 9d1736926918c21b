/** The clocks and the output of a measuring process, which need Deno. */
import process from "node:process";
import type { HostClocks } from "../timing.ts";

/** The host's clocks, with the CPU time of all threads of this process. */
export function processClocks(): HostClocks {
  return {
    wall: () => performance.now() * 1e6,
    cpu: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) * 1e3;
    },
  };
}

/**
 * Writes a whole line to stdout before it returns.
 *
 * @param line the line with its line break
 */
export function writeLine(line: string): void {
  const bytes = new TextEncoder().encode(line);
  for (let offset = 0; offset < bytes.length;) {
    offset += Deno.stdout.writeSync(bytes.subarray(offset));
  }
}
