/**
 * A model on the hub, through @huggingface/hub: its commit, its files, and their bytes from any
 * place on.
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

/** Waits before another attempt. */
export type Delay = (ms: number) => Promise<void>;

/** How long to wait where the hub was busy or the network was not there, in ms. */
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
   * Loads the library; asks the hub nothing yet.
   *
   * @param options the model's name, where the hub is, and what waits
   * @throws {CheckpointError} if the library cannot be loaded
   */
  static async open(options: {
    readonly model: string;
    readonly access: HubAccess;
    readonly delay: Delay;
  }): Promise<HubClient> {
    // Not a literal, so that Deno downloads it only if a model of the hub is named.
    const specifier = "@huggingface/hub";
    try {
      return new HubClient(await import(specifier), options);
    } catch (error) {
      throw new CheckpointError(`${specifier}: cannot be loaded: ${reasonOf(error)}`);
    }
  }

  /**
   * The commit that a branch, a tag or a commit is now.
   *
   * @param revision its name
   * @throws {CheckpointError} if the hub does not name it
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
    // It becomes the name of a folder.
    if (/^[0-9a-f]{40}$/.test(sha)) return sha;
    throw new CheckpointError(
      `${this.#model}: ${this.#access.address} says that its commit is ${shown(sha)}, wanted 40 ` +
        "hexadecimal digits",
    );
  }

  /**
   * What a commit holds, without its folders' contents.
   *
   * @param commit of {@linkcode commit}
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
   * A file's bytes.
   *
   * @param commit that the file is of
   * @param options the file, and where to begin
   * @throws {PassingError} if another attempt may do better
   * @throws {CheckpointError} if none will
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
        // One way to fetch every file, which can go on from any byte.
        xet: false,
      });
      if (blob === null) throw new Error(`${file.name} is not there any more`);
      return offset === 0 ? blob.stream() : blob.slice(offset, file.size).stream();
    });
  }

  /** Why the last request failed; the library hands on no more than a message. */
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

  /** Asks again where the hub was busy or the network was not there. */
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
