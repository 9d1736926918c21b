/** `deno task page`: builds the page and serves it on this machine. */
import { buildPage, contentPolicy, distribution } from "./build.ts";

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
  svg: "image/svg+xml",
};

/** The headers of every answer. They isolate the page, which gives it a finer clock. */
const headers: Readonly<Record<string, string>> = {
  "content-security-policy": `${contentPolicy}; frame-ancestors 'none'`,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
};

/**
 * Answers a request from the files of a folder.
 *
 * @param request a browser's request
 * @param folder the built page's folder
 */
export async function answer(request: Request, folder: URL = distribution): Promise<Response> {
  const failure = (status: number, text: string): Response =>
    new Response(`${text}\n`, { status, headers: { ...headers, "content-type": "text/plain" } });
  if (request.method !== "GET" && request.method !== "HEAD") return failure(405, "GET only");
  const path = new URL(request.url).pathname;
  // Only names that the build writes, so that no path leads out of the folder.
  const name = /^\/(?:((?:[\w-]+\/)?[\w-]+\.(html|js|css|json|svg)))?$/.exec(path);
  if (name === null) return failure(404, "Not found");
  const [, file = "index.html", ending = "html"] = name;
  try {
    const content = await Deno.readFile(new URL(file, folder));
    return new Response(request.method === "HEAD" ? null : content, {
      headers: { ...headers, "content-type": types[ending]! },
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return failure(404, "Not found");
    throw error;
  }
}

if (import.meta.main) {
  const port = Number(Deno.args[0] ?? 8017);
  if (Deno.args.length > 1 || !Number.isInteger(port) || port < 0 || port > 65_535) {
    console.error("page: wanted at most a port, such as: deno task page 8017");
    Deno.exit(2);
  }
  await buildPage();
  try {
    // Browsers allow WebGPU on localhost without a certificate. The server does not answer other
    // machines.
    Deno.serve({
      hostname: "127.0.0.1",
      port,
      onListen: ({ port }) => console.log(`gradsink in the browser: http://localhost:${port}/`),
    }, (request) => answer(request));
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    console.error(`page: port ${port} is in use, choose another: deno task page ${port + 1}`);
    Deno.exit(1);
  }
}
