/**
 * The page's only ways to make elements from text and to start scripts. Its Content-Security-Policy
 * allows no others where the browser knows Trusted Types; elsewhere this code is all there is.
 */
import type { Markup } from "../../../src/report/html.ts";
import type { ToWorker } from "./worker_scope.ts";

/** What this needs of `trustedTypes`, which not every browser has. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createHTML(text: string): string; createScriptURL(url: string): string },
  ): { createHTML(text: string): unknown; createScriptURL(url: string): unknown };
}

const { trustedTypes } = globalThis as unknown as { trustedTypes?: TrustedTypes };
const workerUrl = new URL("worker.js", document.baseURI).href;

const policy = trustedTypes?.createPolicy("gradsink", {
  createHTML: (text) => text, // of the escaping templates of src/report/html.ts
  createScriptURL(url) {
    if (url === workerUrl) return url;
    throw new TypeError(`a script of another place: ${url}`);
  },
});

/**
 * Replaces an element's content.
 *
 * @param element anything
 * @param markup made by the escaping templates
 */
export function setMarkup(element: Element, { text }: Markup): void {
  element.innerHTML = (policy?.createHTML(text) ?? text) as string;
}

/**
 * Starts the page's Worker.
 *
 * @param role what it is for
 * @param options.again whether another one was there before, which lost its GPU
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
