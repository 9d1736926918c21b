/**
 * A browser with the built page. The stage records every request, answers those for the page, and
 * aborts all others. So no request leaves the machine.
 */
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { answer } from "../../../../bench/browser/serve.ts";
import type { Chromium } from "./chromium.ts";

/** The page's apparent address. Nothing listens there: the stage answers the requests. */
export const ORIGIN = "http://localhost:9";

/** Options for opening a page. */
export interface OpenOptions {
  /** The part of the address after the origin. Default `/`. */
  readonly path?: string;
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: "light" | "dark";
  /** A script to run in the page before the page's own scripts. */
  readonly before?: string;
  /** Returns the text that the browser gets in place of the page's script in the file `name`. */
  readonly rewrite?: (script: string, name: string) => string;
  /** Whether `open()` returns without waiting for the adapter. */
  readonly impatient?: boolean;
}

export interface Opened {
  readonly page: Page;
  readonly requests: readonly string[];
  /** The page's errors, its Workers' errors, and violations of its content security policy. */
  readonly complaints: readonly string[];
}

/**
 * Waits until a JavaScript expression is true in the page. (The driver's own `waitForFunction`
 * calls `eval` in the page, which the page's policy forbids.)
 *
 * @param patience in ms
 */
export async function until(page: Page, expression: string, patience = 120_000): Promise<void> {
  const deadline = performance.now() + patience;
  while (!(await page.evaluate(expression))) {
    if (performance.now() > deadline) {
      const said = await page.evaluate(
        "[...document.querySelectorAll('#status, #trouble, #progress-text')].map((each) => each.textContent).join(' | ')",
      );
      throw new Error(`waited in vain for ${expression}; the page says: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A browser and the built page. */
export class Stage {
  readonly browser: Browser;
  readonly #folder: URL;
  readonly #contexts: BrowserContext[] = [];

  private constructor(browser: Browser, folder: URL) {
    this.browser = browser;
    this.#folder = folder;
  }

  /** Starts the browser. */
  static async start(found: Chromium, folder: URL): Promise<Stage> {
    const browser = await chromium.launch({
      executablePath: found.executablePath,
      env: { ...Deno.env.toObject(), ...found.env } as Record<string, string>,
      args: [
        "--no-sandbox",
        "--enable-unsafe-webgpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
      ],
    });
    return new Stage(browser, folder);
  }

  /** Opens the page, and waits until it has an adapter or says that it has none. */
  async open(options: OpenOptions = {}): Promise<Opened> {
    const { path = "/", viewport = { width: 1280, height: 900 }, colorScheme = "light" } = options;
    const context = await this.browser.newContext({
      viewport,
      colorScheme,
      permissions: ["clipboard-read", "clipboard-write"],
    });
    this.#contexts.push(context);
    const requests: string[] = [];
    const complaints: string[] = [];
    await context.route("**/*", async (route) => {
      const url = route.request().url();
      requests.push(url);
      if (!url.startsWith(`${ORIGIN}/`)) return await route.abort();
      const response = await answer(new Request(url), this.#folder);
      const body = Buffer.from(await response.arrayBuffer());
      const script = url.endsWith(".js") && options.rewrite !== undefined;
      await route.fulfill({
        status: response.status,
        headers: Object.fromEntries(response.headers),
        body: script
          ? options.rewrite!(body.toString(), url.slice(url.lastIndexOf("/") + 1))
          : body,
      });
    });
    const page = await context.newPage();
    page.setDefaultTimeout(120_000);
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    if (options.before !== undefined) await page.addInitScript(options.before);
    await page.goto(`${ORIGIN}${path}`);
    if (options.impatient !== true) {
      await until(
        page,
        "!document.querySelector('#run').disabled || !document.querySelector('#no-webgpu').hidden",
      );
    }
    return { page, requests, complaints };
  }

  /**
   * Finds the browser's GPU process. On a busy machine this takes long, so call it well before the
   * process must end.
   *
   * @returns a function that ends the process, as a crashing driver would
   */
  async gpuCrash(): Promise<() => void> {
    const session = await this.browser.newBrowserCDPSession();
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    const { id } = processInfo.find(({ type }) => type === "GPU")!;
    return () => Deno.kill(id, "SIGKILL");
  }

  /** Closes all pages. */
  async clear(): Promise<void> {
    for (const context of this.#contexts.splice(0)) await context.close();
  }

  /** Whether pages get an adapter in this browser. */
  async hasGpu(): Promise<boolean> {
    const { page } = await this.open({ impatient: true });
    const found = await page.evaluate(
      "navigator.gpu === undefined ? false : navigator.gpu.requestAdapter().then((found) => found !== null)",
    );
    await this.clear();
    return found === true;
  }
}
