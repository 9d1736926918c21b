/**
 * Fetches packages of another release of Debian or Ubuntu through apt, and unpacks them into a
 * folder. apt gets its own lists and settings for that release. So the machine's packages and
 * sources stay unchanged, and apt needs no root.
 */
import { type ProgramOptions, runProgram } from "./run.ts";

/** The machine's operating system. */
export interface System {
  readonly id: "debian" | "ubuntu";
  /** The system's release, such as `bookworm`. */
  readonly codename: string;
}

/**
 * Finds out which operating system the machine has.
 *
 * @param text the content of /etc/os-release
 * @returns undefined for a system that is not based on Debian or Ubuntu
 */
export function parseSystem(text: string): System | undefined {
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, "m").exec(text)?.[1] ?? "";
  const ids = [field("ID"), ...field("ID_LIKE").split(" ")];
  const id = (["ubuntu", "debian"] as const).find((each) => ids.includes(each));
  const codename = field("UBUNTU_CODENAME") || field("VERSION_CODENAME");
  return id === undefined || codename === "" ? undefined : { id, codename };
}

/** An archive of one release. */
export interface Archive {
  /** The archive's address, from the machine's own apt sources. */
  readonly site: string;
  /** For example `trixie`. */
  readonly suite: string;
  readonly components: string;
  /** The file with the archive's keys. */
  readonly keys: string;
}

/**
 * The address of the archive from which the machine's own packages come.
 *
 * @param system the machine's operating system
 * @param targets the lines of `apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)'`
 * @returns undefined if no line names the machine's own release
 */
export function ownSite({ codename }: System, targets: string): string | undefined {
  return targets.split("\n").map((line) => line.trim().split(" "))
    .find(([, suite, component]) => suite === codename && component === "main")?.[0];
}

async function keysOf({ id }: System): Promise<string> {
  const names = ["gpg", "pgp"].map((ending) =>
    `/usr/share/keyrings/${id}-archive-keyring.${ending}`
  );
  for (const name of names) if (await exists(name)) return name;
  throw new Error(`neither ${names.join(" nor ")} exists: install ${id}-archive-keyring`);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/**
 * Finds the archive of another release.
 *
 * @param system the machine's operating system
 * @param suite the other release
 * @throws {Error} if apt fails, if apt's sources do not name the machine's own release, or if the
 *   archive's keys are missing
 */
export async function findArchive(system: System, suite: string): Promise<Archive> {
  const format = "$(SITE) $(RELEASE) $(COMPONENT)";
  const targets = await runProgram([
    "apt-get",
    "indextargets",
    "--format",
    format,
    "Created-By: Packages",
  ]);
  const site = ownSite(system, targets);
  if (site === undefined) {
    throw new Error(`apt has no source for ${system.codename}, the release of this machine`);
  }
  const components = system.id === "ubuntu" ? "main universe" : "main";
  return { site, suite, components, keys: await keysOf(system) };
}

/** apt with a folder of its own for the package lists and packages of one archive. */
export class PrivateApt {
  readonly #folder: string;
  readonly #options: readonly string[];
  readonly #program: ProgramOptions;

  private constructor(folder: string, options: readonly string[], program: ProgramOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#program = program;
  }

  /**
   * Fetches an archive's package lists.
   *
   * @param folder the folder to make for the lists and packages
   */
  static async open(
    { site, suite, components, keys }: Archive,
    folder: string,
    program: ProgramOptions = {},
  ): Promise<PrivateApt> {
    for (const path of ["lists/partial", "archives/partial"]) {
      await Deno.mkdir(`${folder}/${path}`, { recursive: true });
    }
    const source = (type: string) => `${type} [signed-by=${keys}] ${site} ${suite} ${components}\n`;
    await Deno.writeTextFile(`${folder}/sources.list`, source("deb") + source("deb-src"));
    await Deno.writeTextFile(`${folder}/status`, ""); // no package is installed
    const settings: Readonly<Record<string, string>> = {
      "Dir::Etc::SourceList": `${folder}/sources.list`,
      "Dir::Etc::SourceParts": "/dev/null",
      "Dir::State": folder,
      "Dir::State::lists": `${folder}/lists`,
      "Dir::State::status": `${folder}/status`,
      "Dir::Cache": folder,
      "Dir::Cache::archives": `${folder}/archives`,
      "Debug::NoLocking": "true",
      "APT::Sandbox::User": "",
      "APT::Install-Recommends": "false",
      "APT::Architecture": "amd64",
      "APT::Architectures": "amd64",
      "Acquire::Languages": "none",
      "Acquire::Check-Valid-Until": "false",
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    const apt = new PrivateApt(folder, ["-qq", ...options], program);
    await apt.#run("update");
    return apt;
  }

  async #run(...args: readonly string[]): Promise<string> {
    return await runProgram(["apt-get", ...this.#options, ...args], {
      ...this.#program,
      cwd: this.#folder,
    });
  }

  /** Unpacks packages and their dependencies into the folder `root`, which need not exist. */
  async unpack(names: readonly string[], root: string): Promise<void> {
    await this.#run("install", "--yes", "--download-only", ...names);
    await Deno.mkdir(root, { recursive: true });
    for await (const { name } of Deno.readDir(`${this.#folder}/archives`)) {
      if (!name.endsWith(".deb")) continue;
      const path = `${this.#folder}/archives/${name}`;
      await runProgram(["dpkg-deb", "--extract", path, root], this.#program);
      await Deno.remove(path);
    }
  }

  /**
   * Fetches a package's upstream source.
   *
   * @returns the path of the fetched `.orig.tar` file
   */
  async source(name: string): Promise<string> {
    await this.#run("source", "--download-only", name);
    for await (const { name: file } of Deno.readDir(this.#folder)) {
      if (/\.orig\.tar\.(xz|gz|bz2)$/.test(file)) return `${this.#folder}/${file}`;
    }
    throw new Error(`apt has no source of ${name}`);
  }
}
