/**
 * Asks the hub about one model, through @huggingface/hub: which commit a branch means, which files
 * the commit has, and a file's bytes from any offset on.
 */
import { CheckpointError } from "../../checkpoint/error.ts";
import { reasonOf, shown } from "../../checkpoint/json.ts";
import { type HubAccess, HubRequests, PassingError } from "./access.ts";
import type { HubFile } from "./download.ts";
import type { ListedFile } from "./files.ts";

type Library = Pick<
  typeof import("@huggingface/hub"),
  "modelInfo" | "listFiles" | "downloadFile"
>;

/** Waits before a further attempt. */
export type Delay = (ms: number) => Promise<void>;

/** The pauses before further attempts if the hub was busy or the network down, in ms. */
const PAUSES = [500, 1000, 2000];

/** One model on a hub. */
export class HubClient {
  readonly #library: Library;
  readonly #model: string;
  readonly #access: HubAccess;
  readonly #requests: HubRequests;
  readonly #delay: Delay;

  private constructor(
    library: Library,
    { model, access, delay }: {
      readonly model: string;
      readonly access: HubAccess;
      readonly delay: Delay;
    },
  ) {
    this.#library = library;
    this.#model = model;
    this.#access = access;
    this.#requests = new HubRequests(model, access);
    this.#delay = delay;
  }

  /**
   * Loads the library, without a request to the hub.
   *
   * @throws {CheckpointError} if the library cannot be loaded
   */
  static async open(options: {
    readonly model: string;
    readonly access: HubAccess;
    readonly delay: Delay;
  }): Promise<HubClient> {
    // The imported name is not a literal, so Deno downloads the library only when `import` runs.
    const specifier = "@huggingface/hub";
    try {
      return new HubClient(await import(specifier), options);
    } catch (error) {
      throw new CheckpointError(`${specifier}: cannot be loaded: ${reasonOf(error)}`);
    }
  }

  /**
   * Asks the hub which commit a branch, tag or commit name means now.
   *
   * @throws {CheckpointError} if the hub does not know the name, refuses the request, cannot be
   *   reached, or answers with anything but a commit
   */
  async commit(revision: string): Promise<string> {
    const { sha } = await this.#insist(() =>
      this.#library.modelInfo({
        ...this.#common(),
        name: this.#model,
        revision,
        additionalFields: ["sha"],
      })
    );
    // Check the commit, because it becomes the name of a folder.
    if (/^[0-9a-f]{40}$/.test(sha)) return sha;
    throw new CheckpointError(
      `${this.#model}: ${this.#access.address} says that its commit is ${shown(sha)}, wanted 40 ` +
        "hexadecimal digits",
    );
  }

  /**
   * Lists a commit's files, without those in folders.
   *
   * @param commit a result of {@linkcode commit}
   * @throws {CheckpointError} if the hub gives no list
   */
  async list(commit: string): Promise<ListedFile[]> {
    return await this.#insist(() =>
      Array.fromAsync(
        this.#library.listFiles({ ...this.#common(), repo: this.#model, revision: commit }),
      )
    );
  }

  /**
   * Reads a file's bytes, from an offset to the file's end.
   *
   * @param commit the file's commit
   * @param options the file, and the offset of the first byte to read
   * @throws {PassingError} if another attempt may succeed
   * @throws {CheckpointError} if further attempts would fail too
   */
  async read(
    commit: string,
    { file, offset }: { readonly file: HubFile; readonly offset: number },
  ): Promise<ReadableStream<Uint8Array>> {
    return await this.#tell(async () => {
      const blob = await this.#library.downloadFile({
        ...this.#common(),
        repo: this.#model,
        revision: commit,
        path: file.name,
        // Of the library's two ways to download, only the one without Xet can begin at any byte.
        xet: false,
      });
      if (blob === null) throw new Error(`${file.name} is not there any more`);
      return offset === 0 ? blob.stream() : blob.slice(offset, file.size).stream();
    });
  }

  /** As in {@linkcode HubRequests}. */
  get failure(): Error | undefined {
    return this.#requests.failure;
  }

  #common() {
    const { address, token } = this.#access;
    return {
      hubUrl: address,
      fetch: this.#requests.fetch,
      ...token === undefined ? {} : { accessToken: token },
    };
  }

  async #tell<Value>(work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (error) {
      throw this.failure ?? new PassingError(`${this.#model}: ${reasonOf(error)}`);
    }
  }

  /** Sends a request. If the hub is busy or the network down, repeats it after each of `PAUSES`. */
  async #insist<Value>(ask: () => Promise<Value>): Promise<Value> {
    for (let attempt = 0;; attempt++) {
      try {
        return await this.#tell(ask);
      } catch (error) {
        if (!(error instanceof PassingError)) throw error;
        if (attempt === PAUSES.length) throw new CheckpointError(error.message);
        await this.#delay(PAUSES[attempt]!);
      }
    }
  }
}
