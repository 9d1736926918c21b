/** For tests: `deno task study` with made-up runs. */
import { join } from "node:path";
import { study } from "../../../src/cli/study.ts";
import { standardOutput } from "../../../src/cli/shared/output.ts";
import { parseStudy } from "../../../src/cli/study/options.ts";
import { armName } from "../../../src/experiments/study/arms.ts";
import type { FakeOrder } from "./study_fake_run.ts";

const request = parseStudy(Deno.args);
const pace = Number(Deno.env.get("PACE") ?? "0");

Deno.exit(
  await study(Deno.args, standardOutput(), {
    command(arm) {
      if (request?.command !== "run") throw new Error("a report starts no runs");
      const { scale, out } = request;
      const order: FakeOrder = { arm, scale, folder: join(out, armName(arm)), pace, failing: [] };
      const module = new URL("./study_fake_run.ts", import.meta.url).href;
      return {
        command: Deno.execPath(),
        args: ["run", "--quiet", "--no-check", "--no-lock", "-A", module, JSON.stringify(order)],
      };
    },
  }),
);
