/**
 * Removes line comments and indentation from WGSL. Lines keep their numbers, so error messages name
 * the right line. WGSL has no strings, so no `//` can stand inside a string.
 */
export function withoutComments(code: string): string {
  return code.split("\n").map((line) => line.replace(/\/\/.*/, "").trim()).join("\n");
}
