/**
 * Properties of every report page: it is complete in itself, runs nothing, and names all its parts.
 */
import { parseHTML } from "linkedom";
import { assert, assertEquals, assertStringIncludes } from "../support/assert/assert.ts";

/** The parts of an element that these tests use. */
export interface Element {
  readonly id: string;
  readonly tagName: string;
  readonly textContent: string;
  readonly attributes: Iterable<{ readonly name: string; readonly value: string }>;
  getAttribute(name: string): string | null;
  querySelector(selector: string): Element | null;
  querySelectorAll(selector: string): Element[];
}

/** A page's document. */
export function parsed(page: string): Element {
  return (parseHTML(page) as unknown as { document: Element }).document;
}

export function all(page: string, selector: string): Element[] {
  return [...parsed(page).querySelectorAll(selector)];
}

/** Throws unless a page loads nothing, runs nothing and shows no missing value. */
export function assertQuiet(page: string): void {
  const document = parsed(page);
  assertEquals(
    document.querySelectorAll("script, link, img, iframe, object, embed, base").length,
    0,
  );
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      assert(!name.startsWith("on"), `${element.tagName} has ${name}`);
      if (/^(href|src|xlink:href|action|data)$/.test(name)) assert(value.startsWith("#"), value);
      assert(!/url\((?!#)|javascript:/i.test(value), value);
    }
  }
  assert(!/@import|url\(/.test(document.querySelector("style")!.textContent));
  assertStringIncludes(page, "default-src 'none'");
  assert(!/NaN|undefined|Infinity|\[object/.test(page), "a missing value shows");
}

/** Throws unless every picture, table, section and link target of a page has a name. */
export function assertNamed(page: string, { pictures }: { readonly pictures: number }): void {
  const document = parsed(page);
  const ids = document.querySelectorAll("[id]").map((element) => element.getAttribute("id")!);
  assertEquals(new Set(ids).size, ids.length, "an id stands twice");
  const references = ["aria-labelledby", "aria-describedby"].flatMap((name) =>
    document.querySelectorAll(`[${name}]`).map((element) => element.getAttribute(name)!)
  ).concat(document.querySelectorAll("a").map((a) => a.getAttribute("href")!.slice(1)));
  for (const reference of references) assert(ids.includes(reference), `no ${reference}`);
  const found = document.querySelectorAll("svg.plot");
  assertEquals(found.length, pictures);
  for (const picture of found) {
    assertEquals(picture.getAttribute("role"), "img");
    assert(picture.querySelector("title")!.textContent.length > 10);
    assert(picture.querySelector("desc")!.textContent.length > 10);
  }
  for (const table of document.querySelectorAll("table")) {
    assert(
      table.querySelector("caption") !== null && table.querySelector("th[scope=col]") !== null,
    );
  }
  assertEquals(document.querySelector("html")!.getAttribute("lang"), "en");
  assertEquals(document.querySelectorAll("h1").length, 1);
}
