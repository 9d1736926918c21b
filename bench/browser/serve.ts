/** `deno task page`: builds the page and serves it on this machine. */
import { formatOptions, parseArguments, UsageError } from "../../src/cli/shared/arguments.ts";
import { runCommand } from "../../src/cli/shared/command.ts";
import { help } from "../../src/cli/shared/options.ts";
import { type CommandOutput, standardOutput } from "../../src/cli/shared/output.ts";
import { buildPage, contentPolicy, distribution } from "./build.ts";

const USUAL_PORT = 8017;

const options = { help } as const;

const helpText = `Builds the page that measures in a browser and serves it on this machine.

Usage: deno task page [PORT]

Open the printed address in a browser with WebGPU. No other machine can reach the page. PORT is ${USUAL_PORT} by
default; 0 takes any free port. Ctrl-C ends the command. deno task page:build builds the page without serving it.

${formatOptions(options)}
Exit codes:
  0    this help was printed
  1    the page cannot be built, or the port cannot be opened
  2    a mistake in the command line
  130  ended by Ctrl-C
`;

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
  svg: "image/svg+xml",
};

/** The headers of every answer. They isolate the page, so that browsers give it a finer clock. */
const headers: Readonly<Record<string, string>> = {
  "content-security-policy": `${contentPolicy}; frame-ancestors 'none'`,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
};

/** Answers a request with a file of `folder`, the built page. */
export async function answer(request: Request, folder: URL = distribution): Promise<Response> {
  const failure = (status: number, text: string): Response =>
    new Response(`${text}\n`, { status, headers: { ...headers, "content-type": "text/plain" } });
  if (request.method !== "GET" && request.method !== "HEAD") return failure(405, "GET only");
  const path = new URL(request.url).pathname;
  // Allow only names of the form that the build writes, so that no path leads out of the folder.
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

/** Parts that tests replace. */
export interface PageHooks {
  /** Builds the page. Default {@linkcode buildPage}. */
  readonly build?: () => Promise<void>;
  /** Serves the page. Default `Deno.serve`. */
  readonly serve?: (options: Deno.ServeTcpOptions, handler: Deno.ServeHandler) => unknown;
}

/**
 * Runs the command. The server keeps running after this function returns.
 *
 * @param args the words after `page`
 * @returns the exit code: 0 if the page is served or help is shown, 1 if building or serving fails,
 *   2 for wrong usage
 */
export async function page(
  args: readonly string[],
  output: CommandOutput,
  { build = buildPage, serve = Deno.serve }: PageHooks = {},
): Promise<number> {
  return await runCommand(
    {
      name: "page",
      parse(given) {
        const { switches, operands: [text = String(USUAL_PORT), extra] } = parseArguments(given, {
          options,
        });
        if (switches.help) return undefined;
        if (extra !== undefined) {
          throw new UsageError(`unexpected ${JSON.stringify(extra)}: page takes one port`);
        }
        const port = /^\d+$/.test(text) ? Number(text) : NaN;
        if (!(port <= 65_535)) {
          throw new UsageError(
            `the port is ${JSON.stringify(text)}, wanted a whole number from 0 to 65535`,
          );
        }
        return { port };
      },
      help: () => helpText,
      async run({ port }) {
        await build();
        try {
          // Browsers allow WebGPU on localhost without a certificate.
          serve({
            hostname: "127.0.0.1",
            port,
            onListen: ({ port }) =>
              output.out(`gradsink in the browser: http://localhost:${port}/\n`),
          }, (request) => answer(request));
        } catch (error) {
          if (!(error instanceof Deno.errors.AddrInUse)) throw error;
          const other = port < 65_535 ? port + 1 : USUAL_PORT;
          throw new Error(`port ${port} is in use, choose another: deno task page ${other}`);
        }
        return 0;
      },
    },
    args,
    output,
  );
}

if (import.meta.main) Deno.exitCode = await page(Deno.args, standardOutput());
