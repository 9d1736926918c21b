import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";
import { testWith } from "../support/permitted.ts";

const test = testWith("run", "read");

const root = new URL("../../", import.meta.url);

async function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = new Deno.Command(Deno.execPath(), { args: ["bench", "-A", ...args], cwd: root });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

interface Report {
  readonly benches: readonly {
    readonly group: string;
    readonly name: string;
    readonly baseline: boolean;
    readonly results: readonly { readonly ok?: { readonly n: number; readonly avg: number } }[];
  }[];
}

test("benchOperators() leaves valid JSON on stdout and a table on stderr", async () => {
  const { code, stdout, stderr } = await bench(
    "--json",
    "bench/v_scale_bench.ts",
    "--",
    "--grid=quick",
  );
  assertEquals(code, 0, stderr);
  const { benches } = JSON.parse(stdout) as Report;
  assert(benches.length >= 4);
  const groups = Map.groupBy(benches, ({ group }) => group);
  for (const [group, members] of groups) {
    assertEquals(members.map(({ baseline }) => baseline), [false, true], group);
    assertEquals(members.map(({ name }) => name.split(/, | \(/)[1]), ["fused", "naive"]);
    for (const { results } of members) {
      assert(results[0]?.ok !== undefined, group);
      assert(results[0].ok.n >= 4 && results[0].ok.avg > 10_000);
    }
  }
  for (const title of ["median", "arithmetic", "memory", "v-scale", "naive"]) {
    assertStringIncludes(stderr, title);
  }
});

test("benchOperators() fails for an unknown grid and names the known ones", async () => {
  const { code, stderr, stdout } = await bench("bench/v_scale_bench.ts", "--", "--grid=huge");
  assert(code !== 0);
  assertStringIncludes(stdout + stderr, 'grid is "huge", wanted one of quick, default, full');
});
