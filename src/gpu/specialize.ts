/**
 * New values, by name, for a kernel's `const` declarations (numbers, booleans) and `alias`
 * declarations (type names).
 */
export type Specialization = Readonly<Record<string, number | boolean | string>>;

function literal(value: number | boolean | string, type: string): string {
  if (typeof value !== "number") return String(value);
  if (type === "u32") return `${value}u`;
  if (type === "f32") return Number.isInteger(value) ? `${value}.0` : String(value);
  return String(value);
}

/**
 * Rewrites constants and aliases at module scope of a WGSL source. WGSL's `override` cannot set
 * element types or the sizes of arrays in functions; a `const NAME: u32 = 64u;` or
 * `alias Name = f32;` can.
 *
 * @param source the WGSL text
 * @param values the new value of each named constant or alias
 * @returns the source with these declarations replaced
 * @throws {TypeError} if the source declares no such name
 */
export function specialize(source: string, values: Specialization): string {
  let text = source;
  for (const [name, value] of Object.entries(values)) {
    const pattern = typeof value === "string"
      ? new RegExp(`^(alias ${name} = )[^;]+;`, "m")
      : new RegExp(`^(const ${name}: (\\w+) = )[^;]+;`, "m");
    if (!pattern.test(text)) {
      const form = typeof value === "string" ? `alias ${name} = …;` : `const ${name}: type = …;`;
      throw new TypeError(`Cannot specialize "${name}": the kernel has no line "${form}"`);
    }
    text = text.replace(
      pattern,
      (_match, head: string, type?: string) => `${head}${literal(value, type ?? "")};`,
    );
  }
  return text;
}
