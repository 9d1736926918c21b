/**
 * How to reach Hugging Face's hub: its address and the user's token. Turns the hub's refusals into
 * errors.
 */
import { hasPermissions } from "../../../permissions.ts";
import { CheckpointError } from "../../checkpoint/error.ts";

export const HUB_VARIABLES = ["HF_TOKEN", "HF_ENDPOINT"] as const;

const USUAL_HOST = "huggingface.co";
const USUAL_ADDRESS = `https://${USUAL_HOST}`;

/** The hosts that store files for huggingface.co, which redirects downloads to them. */
const STORES = ["*.huggingface.co", "*.hf.co"];

export interface HubAccess {
  /** The address without a slash at the end. */
  readonly address: string;
  /** The user's token; undefined if the user gave none. */
  readonly token: string | undefined;
  /** The hosts that `--allow-net` must name: the hub, and those to which it redirects downloads. */
  readonly hosts: readonly string[];
}

/**
 * Reads the hub's address from HF_ENDPOINT and the user's token from HF_TOKEN. A variable that is
 * empty, or that the program has no permission to read, counts as not set.
 *
 * @throws {CheckpointError} if HF_ENDPOINT is not an address, or HF_TOKEN is not a token
 */
export function hubAccess(): HubAccess {
  const given = variable("HF_ENDPOINT") ?? USUAL_ADDRESS;
  const url = URL.parse(given);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new CheckpointError(
      `HF_ENDPOINT is ${JSON.stringify(given)}, wanted an address such as ${USUAL_ADDRESS}`,
    );
  }
  const token = variable("HF_TOKEN");
  if (token !== undefined && !token.startsWith("hf_")) {
    throw new CheckpointError("HF_TOKEN is no token of the hub: those begin with hf_");
  }
  return {
    address: given.replace(/\/+$/, ""),
    token,
    hosts: url.host === USUAL_HOST ? [url.host, ...STORES] : [url.host],
  };
}

function variable(name: typeof HUB_VARIABLES[number]): string | undefined {
  if (!hasPermissions([{ name: "env", value: name }])) return undefined;
  const value = Deno.env.get(name)?.trim();
  return value === "" ? undefined : value;
}

/** A temporary failure: another attempt may succeed. */
export class PassingError extends Error {
  override readonly name = "PassingError";
}

/** Sends requests to a hub, and turns its refusals into errors. */
export class HubRequests {
  readonly #model: string;
  readonly #access: HubAccess;
  /**
   * The last request's error, if that request failed. The library, @huggingface/hub, would throw
   * only the error's text.
   */
  failure: Error | undefined;

  /** @param model its name, for messages */
  constructor(model: string, access: HubAccess) {
    this.#model = model;
    this.#access = access;
  }

  /** Replaces `fetch` for the library. */
  readonly fetch = async (
    input: string | URL | Request,
    init?: RequestInit,
  ): Promise<Response> => {
    this.failure = undefined;
    let response: Response;
    try {
      response = await fetch(input, init);
    } catch (error) {
      throw this.#fail(this.#unreachable(error));
    }
    if (response.ok) return response;
    const missing = response.status === 404 &&
      response.headers.get("X-Error-Code") === "EntryNotFound";
    if (missing) return response; // The library handles a missing file.
    await response.body?.cancel();
    throw this.#fail(this.#refusal(response));
  };

  #fail(error: Error): Error {
    this.failure = error;
    return error;
  }

  #unreachable(error: unknown): Error {
    if (error instanceof Deno.errors.NotCapable) {
      return new CheckpointError(
        `${this.#model}: missing permission, run again with --allow-net=${
          this.#access.hosts.join(",")
        }`,
      );
    }
    const { address } = this.#access;
    return new PassingError(
      `${this.#model}: ${address} cannot be reached (${
        rootCause(error)
      }): give the folder of a model ` +
        "on this machine, or try again with a network",
    );
  }

  #refusal(response: Response): Error {
    const { status, headers } = response;
    const { address, token } = this.#access;
    const code = headers.get("X-Error-Code");
    const model = this.#model;
    if (status === 429 || status >= 500) {
      return new PassingError(
        `${model}: ${address} answers with status ${status}: try again later`,
      );
    }
    if (code === "GatedRepo") {
      return new CheckpointError(
        `${model}: is gated: accept its terms on ${address}/${model}, and ` +
          (token === undefined
            ? "give a token of your account in the variable HF_TOKEN"
            : "use a token of that account, which the one in HF_TOKEN is not"),
      );
    }
    if (code === "RevisionNotFound") {
      return new CheckpointError(`${model}: ${address} has no such revision of it`);
    }
    if (status === 401 || status === 403 || status === 404) {
      return new CheckpointError(
        token === undefined
          ? `${model}: ${address} has no such model, or it is a private one: check the name, or give ` +
            "a token that may read it in the variable HF_TOKEN"
          : `${model}: ${address} has no such model that the token in HF_TOKEN may read: check both`,
      );
    }
    return new CheckpointError(`${model}: ${address} answers with status ${status}`);
  }
}

function rootCause(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  const message = inner instanceof Error ? inner.message : String(inner);
  return message.replace(/ for url \([^)]*\)/, "").replaceAll(/\s+/g, " ").slice(0, 200);
}
