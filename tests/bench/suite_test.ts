import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";

const missing = [];
for (const name of ["run", "read"] as const) {
  if ((await Deno.permissions.query({ name })).state !== "granted") missing.push(`--allow-${name}`);
}
const suffix = missing.length > 0 ? ` [needs ${missing.join(" and ")}]` : "";
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

Deno.test({
  name: `benchOperators() leaves valid JSON on stdout and a table on stderr${suffix}`,
  ignore: missing.length > 0,
  async fn() {
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
  },
});

Deno.test({
  name: `benchOperators() fails for an unknown grid and names the known ones${suffix}`,
  ignore: missing.length > 0,
  async fn() {
    const { code, stderr, stdout } = await bench("bench/v_scale_bench.ts", "--", "--grid=huge");
    assert(code !== 0);
    assertStringIncludes(stdout + stderr, 'grid is "huge", wanted one of quick, default, full');
  },
});
