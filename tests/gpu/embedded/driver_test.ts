import { packTar, type TarEntry } from "modern-tar";
import {
  driverFileHashes,
  embeddedPackage,
  readDriverTar,
  unpackDriver,
  verifySha256,
} from "../../../src/gpu/embedded/archive.ts";
import { sha256 } from "../../../src/sha256.ts";
import { activateEmbeddedDriver, installEmbeddedDriver } from "../../../src/gpu/embedded/driver.ts";
import {
  packageCacheFolder,
  projectCacheFolder,
  userCacheFolder,
} from "../../../src/files/cache_folder.ts";
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
import { testWith } from "../../support/permitted.ts";

// Folders

Deno.test("userCacheFolder() prefers an absolute XDG_CACHE_HOME and ignores a relative one", () => {
  assertEquals(userCacheFolder({ HOME: "/home/me", XDG_CACHE_HOME: "/fast/" }), "/fast");
  assertEquals(userCacheFolder({ HOME: "/home/me", XDG_CACHE_HOME: "fast" }), "/home/me/.cache");
  assertEquals(userCacheFolder({ HOME: "/home/me", XDG_CACHE_HOME: "" }), "/home/me/.cache");
  assertEquals(userCacheFolder({ HOME: "/" }), "/.cache");
});

Deno.test("userCacheFolder() throws where neither variable is an absolute path", () => {
  assertThrows(() => userCacheFolder({}), Error, "XDG_CACHE_HOME");
  assertThrows(() => userCacheFolder({ HOME: "me", XDG_CACHE_HOME: "x" }), Error, "HOME");
});

Deno.test("packageCacheFolder() follows DENO_DIR", () => {
  assertEquals(packageCacheFolder({ HOME: "/home/me" }), "/home/me/.cache/deno/npm");
  assertEquals(packageCacheFolder({ HOME: "/home/me", DENO_DIR: "" }), "/home/me/.cache/deno/npm");
  assertEquals(packageCacheFolder({ XDG_CACHE_HOME: "/fast" }), "/fast/deno/npm");
  assertEquals(packageCacheFolder({ HOME: "/home/me", DENO_DIR: "/deno/" }), "/deno/npm");
});

Deno.test("driverFolderName() contains the version and the archive's hash", () => {
  const version = embeddedPackage.specifier.split("@").at(-1)!;
  assertStringIncludes(driverFolderName(), version);
  assertStringIncludes(driverFolderName(), embeddedPackage.archiveSha256.slice(0, 12));
  assertEquals(projectCacheFolder({ HOME: "/home/me" }), "/home/me/.cache/gradsink");
});

// Permissions

Deno.test("permissionFlags() writes one flag per kind, each value once; messages quote values for a shell", () => {
  const needs: PermissionNeed[] = [
    { name: "env", value: "HOME" },
    { name: "read", value: "/a" },
    { name: "env", value: "DENO_DIR" },
    { name: "env", value: "HOME" },
    { name: "write", value: "/a,b" },
    { name: "ffi", value: "/a b" },
  ];
  const plain = ["--allow-env=HOME,DENO_DIR", "--allow-read=/a", "--allow-write=/a,,b"];
  assertEquals(permissionFlags(needs), [...plain, "--allow-ffi=/a b"]);
  assertEquals(typedPermissionFlags(needs), [...plain, '"--allow-ffi=/a b"'].join(" "));
});

const posixTest = Deno.build.os === "windows" ? () => {} : testWith("run");

posixTest("a POSIX shell reads quoted permission flags as they are", async () => {
  const values = [
    "/a b",
    "/$HOME/`id`",
    'it\'s "here"',
    "/é/~x",
    "/a;b&c|(d)<e>",
    "/back\\slash!",
    "/*",
  ];
  for (const value of values) {
    const needs: PermissionNeed[] = [{ name: "read", value }];
    const script = `printf %s ${typedPermissionFlags(needs)}`;
    const { stdout } = await new Deno.Command("sh", { args: ["-c", script] }).output();
    assertEquals(new TextDecoder().decode(stdout), permissionFlags(needs)[0]);
  }
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
    assertStringIncludes(error.message, `--allow-${kind}=$HOME/.cache/gradsink`);
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

// Archive

Deno.test("sha256() computes the example of FIPS 180-4", async () => {
  assertEquals(
    await sha256(new TextEncoder().encode("abc")),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});

Deno.test("verifySha256() refuses one changed bit, with both hashes", async () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i);
  const expected = await sha256(bytes);
  await verifySha256(bytes, { name: "it", expected });
  bytes[500]! ^= 1;
  const error = await assertRejects(() => verifySha256(bytes, { name: "it", expected }), Error);
  assertStringIncludes(error.message, expected);
  assertStringIncludes(error.message, await sha256(bytes));
});

Deno.test("unpackDriver() refuses an archive that is not the pinned one", async () => {
  const error = await assertRejects(() => unpackDriver(new Uint8Array(8)), Error);
  assertStringIncludes(error.message, embeddedPackage.archiveSha256);
  assertStringIncludes(error.message, await sha256(new Uint8Array(8)));
});

function fileEntry(name: string, body = `contents of ${name}`): TarEntry {
  return { header: { name, size: new TextEncoder().encode(body).length, type: "file" }, body };
}

function expectedEntries(): TarEntry[] {
  return [...driverFileHashes.keys()].map((name) => fileEntry(name));
}

Deno.test("readDriverTar() reads the driver's files and skips ANGLE's", async () => {
  const tar = await packTar([
    fileEntry("libEGL.so"),
    ...expectedEntries(),
    fileEntry("libGLESv2.so"),
  ]);
  const files = await readDriverTar(tar);
  assertEquals([...files.keys()].sort(), [...driverFileHashes.keys()].sort());
  for (const [name, bytes] of files) {
    assertEquals(new TextDecoder().decode(bytes), `contents of ${name}`);
  }
});

for (
  const name of [
    "../libvulkan.so.1",
    "/libvulkan.so.1",
    "./libvulkan.so.1",
    "folder/libvulkan.so.1",
    "libvulkan.so.1/",
    "libvulkan.so.2",
    "../../.bashrc",
  ]
) {
  Deno.test(`readDriverTar() refuses an entry named ${name}`, async () => {
    const tar = await packTar([...expectedEntries(), fileEntry(name)]);
    const error = await assertRejects(() => readDriverTar(tar), Error);
    assertStringIncludes(error.message, JSON.stringify(name));
  });
}

for (const type of ["symlink", "link", "directory"] as const) {
  Deno.test(`readDriverTar() refuses a ${type} under an expected name`, async () => {
    const [first, ...rest] = expectedEntries();
    const header = { name: first!.header.name, size: 0, type, linkname: "/etc/passwd" };
    const tar = await packTar([{ header }, ...rest]);
    await assertRejects(() => readDriverTar(tar), Error, "is not a regular file");
  });
}

Deno.test("readDriverTar() refuses a file that occurs twice", async () => {
  const tar = await packTar([...expectedEntries(), expectedEntries()[0]!]);
  await assertRejects(() => readDriverTar(tar), Error, "occurs twice");
});

Deno.test("readDriverTar() refuses an archive that lacks a file", async () => {
  for (const missing of driverFileHashes.keys()) {
    const tar = await packTar(expectedEntries().filter(({ header }) => header.name !== missing));
    await assertRejects(() => readDriverTar(tar), Error, `lacks "${missing}"`);
  }
});

Deno.test("readDriverTar() refuses a damaged header and a truncated archive", async () => {
  const tar = await packTar(expectedEntries());
  const damaged = tar.slice();
  damaged[136]! ^= 1; // a byte of the modification time, which only the checksum protects
  await assertRejects(() => readDriverTar(damaged), Error, "damaged");
  await assertRejects(() => readDriverTar(tar.slice(0, 520)), Error, "damaged");
});

// Installing: needs permissions, and the network on the first run

const environment = Object.fromEntries(
  FOLDER_VARIABLES.map((
    name,
  ) => [name, hasPermissions([{ name: "env", value: name }]) ? Deno.env.get(name) : undefined]),
);
// Without permission to read a variable, its path is unknown, and the flags contain the variable in
// shell syntax.
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

// A cache inside the project's own cache folder, for which the driver's usual flags suffice.
async function withEmptyCache(use: (cacheFolder: string) => Promise<void>): Promise<void> {
  const cacheFolder = `${cache}/test-${crypto.randomUUID()}`;
  try {
    await use(cacheFolder);
  } finally {
    await Deno.remove(cacheFolder, { recursive: true }).catch(() => {});
  }
}

async function assertInstalled(cacheFolder: string): Promise<void> {
  const entries = (await Array.fromAsync(Deno.readDir(cacheFolder))).map(({ name }) => name);
  assertEquals(entries, [driverFolderName()]);
  for (const [name, expected] of driverFileHashes) {
    const bytes = await Deno.readFile(`${cacheFolder}/${driverFolderName()}/${name}`);
    assertEquals(await sha256(bytes), expected);
  }
}

Deno.test(`installEmbeddedDriver() installs once, with one line of notice${installing.name}`, {
  ignore: installing.ignore,
}, () =>
  withEmptyCache(async (cacheFolder) => {
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
  }));

Deno.test(`installEmbeddedDriver() repairs changed and missing files${installing.name}`, {
  ignore: installing.ignore,
}, () =>
  withEmptyCache(async (cacheFolder) => {
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
  }));

Deno.test(`installEmbeddedDriver() removes a killed installation's leftovers${installing.name}`, {
  ignore: installing.ignore,
}, () =>
  withEmptyCache(async (cacheFolder) => {
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
  }));

Deno.test(`installEmbeddedDriver() leaves nothing behind if it cannot write${installing.name}`, {
  ignore: installing.ignore,
}, () =>
  withEmptyCache(async (cacheFolder) => {
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
  }));

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
  Deno.test(
    `activateEmbeddedDriver() gives SwiftShader to ${runtime}, which computes correctly${spawning.name}`,
    {
      ignore: spawning.ignore,
    },
    () =>
      withEmptyCache(async (cacheFolder) => {
        const report = await runChild(cacheFolder, { runtime });
        assertStringIncludes(report.adapter!, "SwiftShader");
        assertEquals(report.compared, 256);
        assertEquals(report.wrong, 0);
      }),
  );
}

Deno.test(`installEmbeddedDriver() succeeds in several processes at once${spawning.name}`, {
  ignore: spawning.ignore,
}, () =>
  withEmptyCache(async (cacheFolder) => {
    const reports = await Promise.all(
      Array.from({ length: 3 }, () => runChild(cacheFolder, { runtime: "install" })),
    );
    for (const { folder } of reports) assertEquals(folder, `${cacheFolder}/${driverFolderName()}`);
    await assertInstalled(cacheFolder);
  }));
