/**
 * A local model hub with one model. On request it breaks connections, sends wrong bytes or refuses
 * requests.
 */
import { createHash } from "node:crypto";

export interface HubBehavior {
  /** The access token that the hub requires. Default: none. */
  token?: string;
  /** Refuses requests with this status and, if given, this X-Error-Code. */
  refuse?: { readonly status: number; readonly code?: string } | undefined;
  /** The number of requests that the hub still refuses; it counts down. Default: all. */
  refusals?: number;
  /** Ends the connection of every download after this many bytes. */
  breakAfter?: number | undefined;
  /** The number of downloads that still get a wrong last byte; the hub counts down. Default: 0. */
  corrupt?: number;
  /** Ignores the requested range, unless the request is for the first byte only. */
  ignoreRange?: boolean;
  /** Stops sending after this many bytes of a file, and keeps the connection open. */
  stallAfter?: number | undefined;
  /** Redirects requests for files of at least this size to another server. */
  redirectFrom?: number;
}

export interface TestHub extends AsyncDisposable {
  readonly address: string;
  readonly behavior: HubBehavior;
  /** The commit of `main`; a test may change it. */
  commit: string;
  readonly files: Map<string, Uint8Array<ArrayBuffer>>;
  /** The path and, if it has one, the range of each request that the hub itself received. */
  readonly requests: string[];
  /** The access tokens that reached the server of large files. There should be none. */
  readonly leaked: string[];
}

/** Starts a hub with the model `owner/tiny`. */
export function startHub(
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
  behavior: HubBehavior = {},
): TestHub {
  const served = new Map(files);
  const requests: string[] = [];
  const leaked: string[] = [];
  const ending = new AbortController();
  const store = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: ending.signal, onListen: () => {} },
    (request) => {
      const told = request.headers.get("Authorization");
      if (told !== null) leaked.push(told);
      return fileAnswer(hub, request, decodeURIComponent(new URL(request.url).pathname.slice(1)));
    },
  );
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: ending.signal, onListen: () => {} },
    (request) => answer(hub, request, `http://127.0.0.1:${store.addr.port}`),
  );
  const hub: TestHub = {
    address: `http://127.0.0.1:${server.addr.port}`,
    behavior,
    commit: "c".repeat(40),
    files: served,
    requests,
    leaked,
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await Promise.all([server.finished, store.finished]);
    },
  };
  return hub;
}

function answer(hub: TestHub, request: Request, store: string): Response {
  const { pathname } = new URL(request.url);
  const range = request.headers.get("Range");
  hub.requests.push(`${pathname}${range === null ? "" : ` ${range}`}`);
  const { token, refuse } = hub.behavior;
  if (refuse !== undefined && (hub.behavior.refusals ??= Infinity) > 0) {
    hub.behavior.refusals--;
    return refusal(refuse.status, refuse.code);
  }
  if (token !== undefined && request.headers.get("Authorization") !== `Bearer ${token}`) {
    return refusal(401, "GatedRepo");
  }
  const [, revision] = /^\/api\/models\/owner\/tiny\/revision\/(.*)$/.exec(pathname) ?? [];
  if (revision !== undefined) {
    if (revision !== "main" && revision !== hub.commit) return refusal(404, "RevisionNotFound");
    return Response.json({
      _id: "1",
      id: "owner/tiny",
      sha: hub.commit,
      private: false,
      gated: false,
      downloads: 0,
      likes: 0,
      lastModified: "2026-01-01T00:00:00.000Z",
    });
  }
  if (pathname === `/api/models/owner/tiny/tree/${hub.commit}`) {
    return Response.json([
      { type: "directory", oid: "0".repeat(40), size: 0, path: "onnx" },
      ...[...hub.files].map(([path, bytes]) => listed(path, bytes)),
    ]);
  }
  const prefix = `/owner/tiny/resolve/${hub.commit}/`;
  if (!pathname.startsWith(prefix)) return refusal(404, "RepoNotFound");
  const name = decodeURIComponent(pathname.slice(prefix.length));
  const size = hub.files.get(name)?.length ?? 0;
  if (size >= (hub.behavior.redirectFrom ?? Infinity)) {
    return new Response(null, {
      status: 302,
      headers: { Location: `${store}/${encodeURIComponent(name)}`, "X-Linked-Size": `${size}` },
    });
  }
  return fileAnswer(hub, request, name);
}

function refusal(status: number, code?: string): Response {
  return Response.json({ error: "no" }, {
    status,
    headers: code === undefined ? {} : { "X-Error-Code": code },
  });
}

/** The hub's listing of a file: a .safetensors file is in large file storage, any other in Git. */
function listed(path: string, bytes: Uint8Array): Record<string, unknown> {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const git = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  return path.endsWith(".safetensors")
    ? {
      type: "file",
      oid: "1".repeat(40),
      size: bytes.length,
      path,
      lfs: { oid: sha256, size: bytes.length, pointerSize: 134 },
    }
    : { type: "file", oid: git, size: bytes.length, path };
}

function fileAnswer(hub: TestHub, request: Request, name: string): Response {
  const bytes = hub.files.get(name);
  if (bytes === undefined) return refusal(404, "EntryNotFound");
  const { behavior } = hub;
  const asked = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("Range") ?? "");
  const probe = asked?.[1] === "0" && asked[2] === "0";
  const ranged = asked !== null && (probe || !behavior.ignoreRange);
  const [start, end] = ranged ? [Number(asked[1]), Number(asked[2]) + 1] : [0, bytes.length];
  let part = bytes.slice(start, end);
  if (!probe && behavior.corrupt !== undefined && behavior.corrupt > 0) {
    behavior.corrupt--;
    part = part.with(part.length - 1, part.at(-1)! ^ 1);
  }
  return new Response(probe ? part : bodyOf(part, behavior), {
    status: ranged ? 206 : 200,
    headers: {
      ETag: `"${name}"`,
      "Content-Length": `${part.length}`,
      ...ranged ? { "Content-Range": `bytes ${start}-${end - 1}/${bytes.length}` } : {},
    },
  });
}

function bodyOf(
  part: Uint8Array<ArrayBuffer>,
  { breakAfter, stallAfter }: HubBehavior,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const most = Math.min(breakAfter ?? Infinity, stallAfter ?? Infinity);
  let sent = false;
  return new ReadableStream({
    async pull(controller) {
      if (!sent) {
        sent = true;
        if (most > 0 && part.length > 0) return controller.enqueue(part.slice(0, most));
      }
      if (stallAfter !== undefined && part.length > most) return await new Promise<void>(() => {});
      // Closing after fewer bytes than announced breaks the connection.
      controller.close();
    },
  });
}
