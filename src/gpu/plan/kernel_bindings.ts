/** Reads the bindings that a kernel's WGSL declares, and checks that a dispatch gives them. */

/** A binding of group 0. */
export interface KernelBinding {
  /** The number in `@binding(…)`. */
  readonly binding: number;
  /** The variable's name. */
  readonly name: string;
  /** True for a uniform buffer, false for a storage buffer or texture. */
  readonly uniform: boolean;
  /** True for a storage texture. */
  readonly image: boolean;
  /** True if the kernel can write it. */
  readonly written: boolean;
  /** False if no code uses the variable: WebGPU then leaves it out of an automatic layout. */
  readonly used: boolean;
}

// Match `@group(0) @binding(1) var<storage, read_write> output`, with the attributes in any order,
// and `@group(0) @binding(2) var right: texture_storage_2d_array<rgba32float, read>`.
const ATTRIBUTES = /((?:@\w+\s*\(\s*\w+\s*\)\s*)+)/.source;
const DECLARATION = new RegExp(
  ATTRIBUTES + /var\s*<\s*(uniform|storage)\s*(?:,\s*(\w+)\s*,?\s*)?>\s*(\w+)/.source,
  "g",
);
const IMAGE_DECLARATION = new RegExp(
  ATTRIBUTES +
    /var\s+(\w+)\s*:\s*texture_storage_2d(?:_array)?\s*<\s*\w+\s*,\s*(\w+)\s*,?\s*>/.source,
  "g",
);

interface Declaration {
  readonly attributes: string;
  readonly kind: "uniform" | "storage" | "image";
  readonly access: string | undefined;
  readonly name: string;
}

function declarations(text: string): Declaration[] {
  const buffers = [...text.matchAll(DECLARATION)].map(([, attributes, kind, access, name]) => ({
    attributes: attributes!,
    kind: kind as "uniform" | "storage",
    access,
    name: name!,
  }));
  const images = [...text.matchAll(IMAGE_DECLARATION)].map(([, attributes, name, access]) => ({
    attributes: attributes!,
    kind: "image" as const,
    access,
    name: name!,
  }));
  return [...buffers, ...images];
}

/**
 * Reads the bindings from WGSL.
 *
 * @param code the whole text of a kernel
 * @returns the bindings of group 0; undefined if the text computes a binding number
 */
export function kernelBindings(code: string): KernelBinding[] | undefined {
  const text = code.replaceAll(/\/\/.*|\/\*[^]*?\*\//g, " ");
  const bindings: KernelBinding[] = [];
  for (const { attributes, kind, access, name } of declarations(text)) {
    const number = /@binding\s*\(\s*(\d+)/.exec(attributes)?.[1];
    const group = /@group\s*\(\s*(\d+)/.exec(attributes)?.[1];
    if (number === undefined || group === undefined) return undefined;
    if (Number(group) !== 0) continue;
    bindings.push({
      binding: Number(number),
      name,
      uniform: kind === "uniform",
      image: kind === "image",
      written: access === "read_write" || access === "write",
      used: [...text.matchAll(new RegExp(`(?<![.\\w])${name}\\b`, "g"))].length > 1,
    });
  }
  return bindings;
}

/**
 * Throws unless a dispatch gives the bindings that its kernel declares.
 *
 * @param label the operator and the kernel, for the beginning of the message
 * @param bindings the kernel's bindings
 * @param given `parameters` is the number of the dispatch's parameters; `images` tells for each
 *   binding from 1 on whether the dispatch gives an image (true) or a buffer (false)
 * @throws {TypeError} that says which binding is wrong and what to do
 */
export function checkBindings(
  label: string,
  bindings: readonly KernelBinding[],
  given: { readonly parameters: number; readonly images: readonly boolean[] },
): void {
  const { length: buffers } = given.images;
  const at = (number: number) => bindings.find(({ binding }) => binding === number);
  const rule = "Binding 0 is always the uniform parameters, storage buffers are bound from 1 on";
  const first = at(0);
  if (first !== undefined && !first.uniform) {
    throw new TypeError(
      `${label} has the storage buffer ${first.name} at binding 0. ${rule}` +
        "; without parameters, leave binding 0 free",
    );
  }
  if (first === undefined && given.parameters > 0) {
    throw new TypeError(
      `${label} has no uniform at binding 0, the dispatch gives ${given.parameters} parameters. ` +
        `${rule}; without parameters, give an empty list`,
    );
  }
  if (first?.used && given.parameters === 0) {
    throw new TypeError(
      `${label} reads ${first.name} at binding 0, the dispatch gives no parameters. ${rule}`,
    );
  }
  if (first !== undefined && !first.used && given.parameters > 0) refuseUnused(label, first, rule);
  for (let binding = 1; binding <= buffers; binding++) {
    const declared = at(binding);
    if (declared === undefined) {
      throw new TypeError(
        `${label} has no binding ${binding}, the dispatch gives ${buffers} buffers. ${rule}`,
      );
    }
    if (declared.uniform) {
      throw new TypeError(`${label} has the uniform ${declared.name} at ${binding}. ${rule}`);
    }
    if (declared.image !== given.images[binding - 1]) {
      const [wanted, bound] = declared.image ? ["an image", "a buffer"] : ["a buffer", "an image"];
      throw new TypeError(
        `${label} declares ${declared.name} at ${binding} as ${wanted}, the dispatch gives ${bound}`,
      );
    }
    if (!declared.used) refuseUnused(label, declared, rule);
  }
  const missing = bindings.find(({ binding, used }) => used && binding > buffers);
  if (missing !== undefined) {
    throw new TypeError(
      `${label} reads ${missing.name} at binding ${missing.binding}, ` +
        `the dispatch gives ${buffers} buffers. ${rule}`,
    );
  }
}

function refuseUnused(label: string, { binding, name }: KernelBinding, rule: string): never {
  throw new TypeError(
    `${label} never uses ${name} at binding ${binding}, so that WebGPU leaves it out of the ` +
      `layout. ${rule}; use it in the kernel, or neither declare nor give it`,
  );
}
