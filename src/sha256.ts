/** SHA-256 of text or bytes. */

/**
 * Computes a SHA-256.
 *
 * @param content bytes, or text in UTF-8
 * @returns the hash as 64 lower-case hexadecimal digits
 */
export async function sha256(content: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
