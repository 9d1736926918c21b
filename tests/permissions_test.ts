/** Permission flags, as a program gets them and as a user types them. */
import { permissionFlags, type PermissionNeed, typedPermissionFlags } from "../src/permissions.ts";
import { assertEquals } from "./support/assert/assert.ts";
import { testWith } from "./support/permitted.ts";

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

posixTest(
  "a POSIX shell expands $HOME at the beginning of a path in permission flags",
  async () => {
    const needs: PermissionNeed[] = ["$HOME/.cache", "/b,$HOME/c", "$HOME/d e"]
      .map((value) => ({ name: "read", value }));
    const script = `printf %s ${typedPermissionFlags(needs)}`;
    const env = { HOME: "/home/my name" };
    const { stdout } = await new Deno.Command("sh", { args: ["-c", script], env }).output();
    assertEquals(
      new TextDecoder().decode(stdout),
      "--allow-read=/home/my name/.cache,/b,,$HOME/c,/home/my name/d e",
    );
  },
);
