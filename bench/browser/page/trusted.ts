/**
 * The only functions of the page that turn text into elements or start scripts. The page's
 * Content-Security-Policy makes browsers with Trusted Types enforce this; other browsers do not.
 */
import type { Markup } from "../../../src/report/html.ts";
import type { ToWorker } from "./worker_scope.ts";

/** The part of `trustedTypes` used here; not every browser has it. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createHTML(text: string): string; createScriptURL(url: string): string },
  ): { createHTML(text: string): unknown; createScriptURL(url: string): unknown };
}

const { trustedTypes } = globalThis as unknown as { trustedTypes?: TrustedTypes };
const workerUrl = new URL("worker.js", document.baseURI).href;

const policy = trustedTypes?.createPolicy("gradsink", {
  createHTML: (text) => text, // from the escaping templates of src/report/html.ts
  createScriptURL(url) {
    if (url === workerUrl) return url;
    throw new TypeError(`a script of another place: ${url}`);
  },
});

/** Replaces an element's content by markup that the escaping templates made. */
export function setMarkup(element: Element, { text }: Markup): void {
  element.innerHTML = (policy?.createHTML(text) ?? text) as string;
}

/**
 * Starts the page's Worker.
 *
 * @param options.again whether the new Worker replaces an earlier one, whose GPU may have been lost
 */
export function startWorker(
  role: ToWorker["role"],
  { again = false }: { readonly again?: boolean } = {},
): Worker {
  const url = (policy?.createScriptURL(workerUrl) ?? workerUrl) as string;
  const worker = new Worker(url, { type: "module", name: `gradsink ${role}` });
  worker.postMessage({ role, again } satisfies ToWorker);
  return worker;
}
