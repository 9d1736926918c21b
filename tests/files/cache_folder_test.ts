/** Environment variables decide in which folders cached files lie. */
import {
  packageCacheFolder,
  projectCacheFolder,
  userCacheFolder,
} from "../../src/files/cache_folder.ts";
import { assertEquals, assertThrows } from "../support/assert/assert.ts";

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

Deno.test("packageCacheFolder() follows DENO_DIR, and projectCacheFolder() does not need it", () => {
  assertEquals(packageCacheFolder({ HOME: "/home/me" }), "/home/me/.cache/deno/npm");
  assertEquals(packageCacheFolder({ HOME: "/home/me", DENO_DIR: "" }), "/home/me/.cache/deno/npm");
  assertEquals(packageCacheFolder({ XDG_CACHE_HOME: "/fast" }), "/fast/deno/npm");
  assertEquals(packageCacheFolder({ HOME: "/home/me", DENO_DIR: "/deno/" }), "/deno/npm");
  assertEquals(projectCacheFolder({ HOME: "/home/me" }), "/home/me/.cache/gradsink");
});
