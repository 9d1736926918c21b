/** A stand-in for a browser's document, so that pictures can be drawn outside a browser. */
import { parseHTML } from "linkedom";
import type { SvgDocument } from "./plot.ts";

/** An empty document. */
export function createSvgDocument(): SvgDocument {
  const window: unknown = parseHTML("<!doctype html><html><body></body></html>");
  return (window as { document: SvgDocument }).document;
}
