/** Installing the embedded driver into a cache, and loading it. */
import { driverFileHashes, embeddedPackage } from "../../../src/gpu/embedded/archive.ts";
import { sha256 } from "../../../src/sha256.ts";
import { activateEmbeddedDriver, installEmbeddedDriver } from "../../../src/gpu/embedded/driver.ts";
import { packageCacheFolder, projectCacheFolder } from "../../../src/files/cache_folder.ts";
import { driverFolderName } from "../../../src/gpu/embedded/folder_name.ts";
import {
  DRIVER_VARIABLES,
  FOLDER_VARIABLES,
  hasPermissions,
  permissionFlags,
  type PermissionNeed,
  typedPermissionFlags,
} from "../../../src/permissions.ts";
import type { ChildReport } from "./driver_child.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../support/assert/assert.ts";

Deno.test("driverFolderName() contains the version and the archive's hash", () => {
  const version = embeddedPackage.specifier.split("@").at(-1)!;
  assertStringIncludes(driverFolderName(), version);
  assertStringIncludes(driverFolderName(), embeddedPackage.archiveSha256.slice(0, 12));
});

const onPlatform = Deno.build.target === "x86_64-unknown-linux-gnu";
const platformOnly = { ignore: !onPlatform };
const reason = onPlatform ? "" : " (ignored: x64 Linux only)";

Deno.test(`installEmbeddedDriver() names every missing flag${reason}`, {
  ...platformOnly,
  permissions: "none",
}, async () => {
  const error = await assertRejects(() => installEmbeddedDriver(), Deno.errors.NotCapable);
  const variables = [...FOLDER_VARIABLES, ...DRIVER_VARIABLES].join(",");
  assertStringIncludes(error.message, `--allow-env=${variables}`);
  for (const kind of ["read", "write", "ffi"]) {
    assertStringIncludes(error.message, `--allow-${kind}="$HOME"/.cache/gradsink`);
  }
});

Deno.test(`activateEmbeddedDriver() names every missing flag${reason}`, {
  ...platformOnly,
  permissions: "none",
}, () => {
  const driver = { folder: "/x", icdFile: "/x/icd.json", loaderFile: "/x/libvulkan.so.1" };
  const error = assertThrows(() => activateEmbeddedDriver(driver), Deno.errors.NotCapable);
  assertStringIncludes(error.message, `--allow-env=${DRIVER_VARIABLES.join(",")}`);
  assertStringIncludes(error.message, "--allow-ffi=/x/libvulkan.so.1");
});

Deno.test(
  `installEmbeddedDriver() throws for a relative cacheFolder${reason}`,
  platformOnly,
  async () => {
    await assertRejects(
      () => installEmbeddedDriver({ cacheFolder: "cache" }),
      TypeError,
      'cacheFolder is "cache"',
    );
  },
);

Deno.test(
  `installEmbeddedDriver() says what to install elsewhere${
    onPlatform ? " (ignored: this is x64 Linux)" : ""
  }`,
  {
    ignore: onPlatform,
  },
  async () => {
    await assertRejects(() => installEmbeddedDriver(), Error, "x86_64-unknown-linux-gnu");
  },
);

// Installing needs permissions, and the network on the first run.

const environment = Object.fromEntries(
  FOLDER_VARIABLES.map((
    name,
  ) => [name, hasPermissions([{ name: "env", value: name }]) ? Deno.env.get(name) : undefined]),
);
// An ignored test's name says which permission flags it needs. If the test may read neither HOME
// nor XDG_CACHE_HOME, the cache folders are unknown, and the flags say `$HOME` instead.
const known = environment["HOME"] ?? environment["XDG_CACHE_HOME"];
const cache = known === undefined ? "$HOME/.cache/gradsink" : projectCacheFolder(environment);
const packages = known === undefined ? "$HOME/.cache/deno/npm" : packageCacheFolder(environment);
const childPermissions: PermissionNeed[] = [
  ...[...FOLDER_VARIABLES, ...DRIVER_VARIABLES].map((value) => ({ name: "env" as const, value })),
  { name: "read", value: cache },
  { name: "read", value: packages },
  { name: "write", value: cache },
  { name: "ffi", value: cache },
];
const mayInstall = onPlatform && hasPermissions(childPermissions);
const flags = typedPermissionFlags(childPermissions);
const installing = {
  ignore: !mayInstall,
  name: mayInstall ? "" : onPlatform ? ` (ignored: needs ${flags})` : reason,
};

// Gives `use` the path of a folder that does not exist yet, inside the project's cache folder.
// There the permission flags that the driver needs suffice. Deletes the folder at the end.
async function withEmptyCache(use: (cacheFolder: string) => Promise<void>): Promise<void> {
  const cacheFolder = `${cache}/test-${crypto.randomUUID()}`;
  try {
    await use(cacheFolder);
  } finally {
    await Deno.remove(cacheFolder, { recursive: true }).catch(() => {});
  }
}

/** Registers a test that gets an empty cache folder. If the test is ignored, its name says why. */
function testInCache(
  name: string,
  { ignore, name: why }: typeof installing,
  use: (cacheFolder: string) => Promise<void>,
): void {
  Deno.test({ name: `${name}${why}`, ignore, fn: () => withEmptyCache(use) });
}

async function assertInstalled(cacheFolder: string): Promise<void> {
  const entries = (await Array.fromAsync(Deno.readDir(cacheFolder))).map(({ name }) => name);
  assertEquals(entries, [driverFolderName()]);
  for (const [name, expected] of driverFileHashes) {
    const bytes = await Deno.readFile(`${cacheFolder}/${driverFolderName()}/${name}`);
    assertEquals(await sha256(bytes), expected);
  }
}

testInCache(
  "installEmbeddedDriver() installs once, with one line of notice",
  installing,
  async (cacheFolder) => {
    const notices: string[] = [];
    const notice = (line: string): number => notices.push(line);
    const driver = await installEmbeddedDriver({ cacheFolder, notice });
    assertEquals(driver.folder, `${cacheFolder}/${driverFolderName()}`);
    await assertInstalled(cacheFolder);
    assertEquals(notices.length, 1);
    assert(!notices[0]!.includes("\n"));
    for (const part of [embeddedPackage.specifier, "MB", driver.folder, "once"]) {
      assertStringIncludes(notices[0]!, part);
    }
    assertEquals(await installEmbeddedDriver({ cacheFolder, notice }), driver);
    assertEquals(notices.length, 1);
  },
);

testInCache(
  "installEmbeddedDriver() repairs changed and missing files",
  installing,
  async (cacheFolder) => {
    const notice = (): void => {};
    const { folder } = await installEmbeddedDriver({ cacheFolder, notice });
    for (const name of driverFileHashes.keys()) {
      const bytes = await Deno.readFile(`${folder}/${name}`);
      bytes[bytes.length >> 1]! ^= 1;
      await Deno.writeFile(`${folder}/${name}`, bytes);
      await installEmbeddedDriver({ cacheFolder, notice });
      await assertInstalled(cacheFolder);
      await Deno.remove(`${folder}/${name}`);
      await installEmbeddedDriver({ cacheFolder, notice });
      await assertInstalled(cacheFolder);
    }
  },
);

testInCache(
  "installEmbeddedDriver() removes a killed installation's leftovers",
  installing,
  async (cacheFolder) => {
    const leftover = `${cacheFolder}/.${driverFolderName()}-killed.tmp`;
    await Deno.mkdir(leftover, { recursive: true });
    await Deno.writeTextFile(`${leftover}/libvulkan.so.1`, "half");
    const hoursAgo = new Date(Date.now() - 2 * 3_600_000);
    await Deno.utime(leftover, hoursAgo, hoursAgo);
    const recent = `${cacheFolder}/.${driverFolderName()}-running.tmp`;
    await Deno.mkdir(recent);
    await installEmbeddedDriver({ cacheFolder, notice: () => {} });
    await Deno.remove(recent); // throws if the installation removed a running process's folder
    await assertInstalled(cacheFolder);
  },
);

testInCache(
  "installEmbeddedDriver() leaves nothing behind if it cannot write",
  installing,
  async (cacheFolder) => {
    await Deno.mkdir(cacheFolder, { recursive: true });
    const obstacle = `${cacheFolder}/${driverFolderName()}`;
    await Deno.writeTextFile(obstacle, "a file where the folder should be");
    await assertRejects(
      () => installEmbeddedDriver({ cacheFolder, notice: () => {} }),
      Error,
      `cannot write ${obstacle}`,
    );
    const left = (await Array.fromAsync(Deno.readDir(cacheFolder))).map(({ name }) => name);
    assertEquals(left, [driverFolderName()]);
  },
);

// These tests use child processes, because drivers are chosen for a whole process.

const command = ["deno", Deno.execPath()].find((path) =>
  Deno.permissions.querySync({ name: "run", command: path }).state === "granted"
);
const spawning = {
  ignore: !mayInstall || command === undefined,
  name: !mayInstall
    ? installing.name
    : command === undefined
    ? " (ignored: needs --allow-run=deno)"
    : "",
};

async function runChild(cacheFolder: string, options: {
  readonly runtime: "deno" | "dawn" | "install";
}): Promise<ChildReport> {
  // Grants exactly the documented flags, which shows that they suffice.
  const granted = permissionFlags([
    ...childPermissions,
    ...options.runtime === "dawn" ? [{ name: "ffi" as const, value: packages }] : [],
  ]);
  const child = new URL("./driver_child.ts", import.meta.url);
  const { success, stdout, stderr } = await new Deno.Command(command!, {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-lock", ...granted],
      ...[child.href, cacheFolder, options.runtime],
    ],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

for (const runtime of ["deno", "dawn"] as const) {
  testInCache(
    `activateEmbeddedDriver() gives SwiftShader to ${runtime}, which computes correctly`,
    spawning,
    async (cacheFolder) => {
      const report = await runChild(cacheFolder, { runtime });
      assertStringIncludes(report.adapter!, "SwiftShader");
      assertEquals(report.compared, 256);
      assertEquals(report.wrong, 0);
    },
  );
}

testInCache(
  "installEmbeddedDriver() succeeds in several processes at once",
  spawning,
  async (cacheFolder) => {
    const reports = await Promise.all(
      Array.from({ length: 3 }, () => runChild(cacheFolder, { runtime: "install" })),
    );
    for (const { folder } of reports) assertEquals(folder, `${cacheFolder}/${driverFolderName()}`);
    await assertInstalled(cacheFolder);
  },
);
