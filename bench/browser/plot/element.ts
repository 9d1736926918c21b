/** Makes SVG elements in any document. */

/** What drawing needs of a document, or of a stand-in for one. */
interface SvgMaker {
  createElementNS(namespace: string, name: string): SvgNode;
}

interface SvgNode {
  textContent: string | null;
  setAttribute(name: string, value: string): void;
  appendChild(child: SvgNode): unknown;
}

/** An element that can contain others. */
export interface Parent {
  readonly node: SvgNode;
  /** Makes an element inside this one. */
  append(name: string, attributes: Attributes, text?: string): Parent;
}

/** Attributes by name; undefined ones are left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Makes an element. */
export function element(document: unknown, name: string, attributes: Attributes): Parent {
  const maker = document as SvgMaker;
  const node = maker.createElementNS("http://www.w3.org/2000/svg", name);
  const made: Parent = {
    node,
    append(name, attributes, text) {
      const child = element(document, name, attributes);
      if (text !== undefined) child.node.textContent = text;
      node.appendChild(child.node);
      return child;
    },
  };
  setAttributes(made, attributes);
  return made;
}

/** Sets attributes. */
export function setAttributes({ node }: Parent, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) node.setAttribute(name, String(value));
  }
}
