/** Runs the scenarios of `scenarios.ts` on the page in a real Chromium. */
import { fileURLToPath } from "node:url";
import { scenarioList } from "./scenario_list.ts";

interface Line {
  readonly type: "none" | "ready" | "result";
  readonly reason?: string;
  readonly gpu?: boolean;
  readonly name?: string;
  readonly error?: string;
}

const allowed = (await Deno.permissions.query({ name: "run" })).state === "granted";
const waiting = new Map(scenarioList.map(({ name }) => [name, Promise.withResolvers<void>()]));
const ready = Promise.withResolvers<Line>();
let said = "";

function take(line: Line): void {
  if (line.type !== "result") return ready.resolve(line);
  const outcome = waiting.get(line.name!);
  if (line.error === undefined) outcome?.resolve();
  else outcome?.reject(new Error(line.error));
}

async function follow(): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-lock", "--no-prompt", "--allow-all"],
      fileURLToPath(new URL("./child.ts", import.meta.url)),
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) said += text;
  })();
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("{")) take(JSON.parse(line) as Line);
  }
  await errors;
  const { code } = await child.status;
  const reason = `the browser's driver ended with ${code}: ${said.slice(-2000)}`;
  ready.resolve({ type: "none", reason });
  for (const { reject } of waiting.values()) reject(new Error(reason));
}

for (const { promise } of waiting.values()) promise.catch(() => {}); // the tests report it
let state: Line = { type: "none", reason: "needs --allow-run" };
if (allowed) {
  void follow();
  state = await ready.promise;
}

for (const { name, needsGpu } of scenarioList) {
  const reason = state.type === "none"
    ? state.reason
    : needsGpu && state.gpu !== true
    ? "needs a Chromium with WebGPU"
    : undefined;
  // If the driver itself fails to start, that is a failure and not a missing browser.
  const broken = reason?.startsWith("the browser's driver ended") === true;
  Deno.test({
    name: reason === undefined || broken ? name : `${name} [${reason}]`,
    ignore: reason !== undefined && !broken,
    // The driver outlives each test.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => waiting.get(name)!.promise,
  });
}
