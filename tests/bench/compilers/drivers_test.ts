/** Tests finding the drivers' package archive, and compiling with the drivers. */
import { ownSite, parseSystem } from "../../../bench/compilers/apt.ts";
import { compileOn } from "../../../bench/compilers/child.ts";
import { pretendedGpus } from "../../../bench/compilers/gpus.ts";
import { defaultDriversFolder } from "../../../bench/compilers/folder.ts";
import { findDrivers } from "../../../bench/compilers/prepare.ts";
import { reportOf } from "../../../bench/compilers/report.ts";
import { assert, assertEquals, assertStringIncludes } from "../../support/assert/assert.ts";
import { inFolder, namesIn } from "../../support/folder.ts";

Deno.test("parseSystem() recognizes Debian, Ubuntu and their derivatives", () => {
  assertEquals(parseSystem('ID=debian\nVERSION_CODENAME="bookworm"\n'), {
    id: "debian",
    codename: "bookworm",
  });
  const mint = 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\n' +
    "UBUNTU_CODENAME=noble\n";
  assertEquals(parseSystem(mint), { id: "ubuntu", codename: "noble" });
  assertEquals(parseSystem("ID=fedora\nVERSION_CODENAME=\n"), undefined);
  assertEquals(parseSystem(""), undefined);
});

Deno.test("ownSite() finds the machine's own release among all of apt's sources", () => {
  const targets = [
    "https://packages.test/other nodistro main",
    "http://mirror.test/debian-security bookworm-security main",
    "http://mirror.test/debian bookworm contrib",
    "http://mirror.test/debian bookworm main",
  ].join("\n");
  const system = { id: "debian", codename: "bookworm" } as const;
  assertEquals(ownSite(system, targets), "http://mirror.test/debian");
  assertEquals(ownSite({ ...system, codename: "trixie" }, targets), undefined);
});

const gpu = pretendedGpus.find(({ name }) => name === "navi31")!;

async function unfit(): Promise<string | undefined> {
  for (const name of ["run", "read", "write", "env"] as const) {
    const { state } = await Deno.permissions.query({ name });
    if (state !== "granted") return `needs --allow-${name}`;
  }
  return await findDrivers(gpu, defaultDriversFolder()) === undefined
    ? "needs the drivers that deno task compilers prepares"
    : undefined;
}

const reason = await unfit();
const options = {
  runtime: "deno",
  selection: { kernels: ["matmul"], variants: ["tiled-128"], lengths: { M: 512, N: 512, K: 512 } },
  keep: undefined,
  progress() {},
} as const;
const interrupt = new AbortController().signal;

Deno.test({
  name: `AMD's compiler compiles a matrix product, once${
    reason === undefined ? "" : ` [${reason}]`
  }`,
  ignore: reason !== undefined,
  fn: () =>
    inFolder(async (folder) => {
      const drivers = (await findDrivers(gpu, defaultDriversFolder()))!;
      let compiled = 0;
      const compile = () =>
        compileOn(gpu, {
          ...options,
          drivers,
          kept: folder,
          deadline: 60_000,
          interrupt,
          progress: () => compiled++,
        });
      const result = await compile();
      assertEquals([result.info?.vendor, result.problem], ["amd", undefined]);
      assertStringIncludes(result.info!.description, "NAVI31");
      const { rows, failures } = reportOf([result]);
      assertEquals([rows.length, failures], [1, []]);
      const [row] = rows;
      assertEquals([row!.workgroup, row!.subgroupSize, row!.spills], [[16, 16, 1], 64, 0]);
      assert(row!.registers >= 64 && row!.registers <= 256, `${row!.registers} registers`);
      assert(row!.fmaShare! > 0.4 && row!.fmaShare! < 1, `${row!.fmaShare} of FMAs`);
      assertEquals(row!.loops.some(({ fma }) => fma >= 64), true);
      // Stored results are found, even if a process that died has left half a line in the file.
      assertEquals(compiled, 1);
      const [name] = await namesIn(folder);
      await Deno.writeTextFile(`${folder}/${name}`, '{"digest":', { append: true });
      assertEquals([await compile(), compiled], [result, 1]);
    }),
});

Deno.test({
  name: `a GPU ends at its deadline${reason === undefined ? "" : ` [${reason}]`}`,
  ignore: reason !== undefined,
  fn: () =>
    inFolder(async (folder) => {
      const drivers = (await findDrivers(gpu, defaultDriversFolder()))!;
      const result = await compileOn(gpu, {
        ...options,
        drivers,
        kept: folder,
        deadline: 1,
        interrupt,
      });
      assertEquals([result.compiled, result.problem], [[], "not done after 0.001 s"]);
    }),
});
