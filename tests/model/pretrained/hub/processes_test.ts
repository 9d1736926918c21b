/** Fetching in child processes: the permissions that it needs, and processes that end early. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageCacheFolder } from "../../../../src/files/cache_folder.ts";
import { assertEquals, assertStringIncludes } from "../../../support/assert/assert.ts";
import { allowed, rangesOf, type Scene, withHub } from "../../../support/model/hub_scene.ts";

const children = allowed && Deno.build.os !== "windows" &&
  (await Deno.permissions.query({ name: "run" })).state === "granted" &&
  (await Deno.permissions.query({ name: "env" })).state === "granted";

function testWithChildren(name: string, run: () => Promise<void>): void {
  Deno.test({
    name: children ? name : `${name} [needs also --allow-env --allow-run, and sh]`,
    ignore: !children,
    fn: run,
  });
}

/** Runs child.ts with the scene's hub and cache folder, and returns what it prints. */
async function child(
  scene: Scene,
  { flags, shell = 'exec "$@"', environment = {} }: {
    readonly flags: readonly string[];
    readonly shell?: string;
    readonly environment?: Readonly<Record<string, string>>;
  },
): Promise<string> {
  const program = fileURLToPath(new URL("./child.ts", import.meta.url));
  const config = fileURLToPath(new URL("../../../../deno.json", import.meta.url));
  const run = [Deno.execPath(), "run", "--quiet", "--no-prompt", `--config=${config}`];
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", shell, "sh", ...run, ...flags, program],
    env: {
      XDG_CACHE_HOME: scene.cache,
      HF_ENDPOINT: scene.hub.address,
      // The packages stay in the usual cache.
      DENO_DIR: dirname(packageCacheFolder(Deno.env.toObject())),
      ...environment,
    },
  }).output();
  const said = new TextDecoder().decode(stdout).trim();
  return said === "" ? new TextDecoder().decode(stderr) : said;
}

const variables = "--allow-env=HOME,XDG_CACHE_HOME,HF_ENDPOINT,HF_TOKEN";
const files = ["--allow-read", "--allow-write"];
const network = "--allow-net=127.0.0.1";

testWithChildren(
  "fetchModel() names the flags that it lacks, and no others",
  () =>
    withHub({}, async (scene) => {
      const { host } = new URL(scene.hub.address);
      const root = join(scene.cache, "gradsink", "models", "owner--tiny");
      const action =
        `NotCapable: fetching owner/tiny from ${scene.hub.address}: missing permission, run again with`;
      assertEquals(
        await child(scene, { flags: [variables, ...files] }),
        `${action} --allow-net=${host}`,
      );
      assertEquals(
        await child(scene, { flags: [variables, "--allow-read", network] }),
        `${action} --allow-write=${root}`,
      );
      // The default hub, huggingface.co, keeps large files on other servers. The flag must allow
      // these, too.
      const usual = "NotCapable: fetching owner/tiny from https://huggingface.co: missing " +
        'permission, run again with "--allow-net=huggingface.co,*.huggingface.co,*.hf.co"';
      assertEquals(
        await child(scene, { flags: ["--allow-env=XDG_CACHE_HOME", ...files] }),
        usual,
      );
      const environment = { HF_ENDPOINT: "https://huggingface.co/" };
      assertEquals(await child(scene, { flags: [variables, ...files], environment }), usual);
      assertEquals(scene.hub.requests, []);
      assertEquals(await child(scene, { flags: [variables, ...files, network] }), "fetched");
      // A cached model needs neither the network nor write permission.
      assertEquals(await child(scene, { flags: [variables, "--allow-read"] }), "there");
    }),
);

testWithChildren(
  "fetchModel() reads the hub's address and the token from the environment",
  () =>
    withHub({ token: "hf_secret" }, async (scene) => {
      const flags = [variables, ...files, network];
      const told = (environment: Record<string, string>) => child(scene, { flags, environment });
      assertStringIncludes(await told({}), "is gated");
      assertStringIncludes(
        await told({ HF_ENDPOINT: "localhost" }),
        'HF_ENDPOINT is "localhost", wanted an address such as https://huggingface.co',
      );
      assertStringIncludes(
        await told({ HF_TOKEN: "secret" }),
        "HF_TOKEN is no token of the hub: those begin with hf_",
      );
      const token = { HF_TOKEN: "hf_secret" };
      const deaf = "--allow-env=HOME,XDG_CACHE_HOME,HF_ENDPOINT";
      assertStringIncludes(
        await child(scene, { flags: [deaf, ...files, network], environment: token }),
        "give a token of your account in the variable HF_TOKEN",
      );
      assertEquals(await told(token), "fetched");
    }),
);

testWithChildren(
  "fetchModel() says that there is no room, and resumes once there is",
  () =>
    withHub({}, async (scene) => {
      const flags = [variables, ...files, network];
      // Simulates a full disk: no file may exceed 16 KiB.
      const shell = `trap '' XFSZ; ulimit -f 32; exec "$@"`;
      const unfinished = join(
        scene.cache,
        "gradsink/models/owner--tiny",
        `.unfinished-${scene.hub.commit}`,
      );
      assertEquals(
        await child(scene, { flags, shell }),
        `CheckpointError: ${
          join(unfinished, "model-00001-of-00002.safetensors.part")
        }: cannot be written: File too large`,
      );
      scene.hub.requests.length = 0;
      assertEquals(await child(scene, { flags }), "fetched");
      assertEquals(rangesOf(scene.hub, "model-00001-of-00002.safetensors"), ["bytes=16384-32117"]);
    }),
);
