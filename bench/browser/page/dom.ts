/** Helpers that every part of the page uses. */

/**
 * Finds an element of the page by its identifier and JavaScript class.
 *
 * @throws {TypeError} if there is no such element, as when page and script differ in version
 */
export function byId<Kind extends Element>(id: string, type: new () => Kind): Kind {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new TypeError(`page: no ${type.name} with the identifier ${id}`);
}

/** A button of the page. */
export function button(id: string): HTMLButtonElement {
  return byId(id, HTMLButtonElement);
}

/** Makes an element with text and attributes; does not add it to the page. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  text = "",
  attributes: Readonly<Record<string, string>> = {},
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/**
 * Shows a sentence, which screen readers also speak: as a status or, with `trouble`, as an alert.
 * The sentence replaces the one shown before.
 */
export function announce(text: string, { trouble = false } = {}): void {
  const [spoken, other] = trouble ? ["trouble", "status"] : ["status", "trouble"];
  byId(other, HTMLParagraphElement).textContent = "";
  byId(spoken, HTMLParagraphElement).textContent = text;
}

/** Copies text to the clipboard. For 2 s, the pressed button, `source`, then reads "Copied". */
export async function copyText(
  source: HTMLButtonElement,
  text: string | Promise<string>,
): Promise<void> {
  const usual = source.dataset.label ??= source.textContent ?? "";
  try {
    await navigator.clipboard.writeText(await text);
    source.textContent = "Copied";
  } catch (error) {
    source.textContent = usual;
    return announce(`This could not be copied: ${messageOf(error)}`, { trouble: true });
  }
  announce("Copied to the clipboard");
  setTimeout(() => source.textContent = usual, 2000);
}

/** Offers text to the user as a file to download. `type` is the file's media type. */
export function saveText(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element("a", "", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** An error's message, in one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/g, " ");
}
