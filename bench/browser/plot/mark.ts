/** A mark: data, and how each datum becomes a position and a style. */

/** A record with any fields. */
export type Row = Readonly<Record<string, unknown>>;

/** The kinds of marks. */
export type MarkKind = "rect" | "ruleX" | "ruleY" | "text" | "dot" | "line" | "areaY" | "barX";

/** Options in which a string names a field of a datum. In other options a string is a constant. */
const fields = new Set(["x", "x1", "x2", "y", "y1", "y2", "z", "fy", "text", "title"]);

const known = new Set([
  ...fields,
  ...["fill", "fillOpacity", "stroke", "strokeOpacity", "strokeWidth", "strokeDasharray"],
  ...["strokeLinejoin", "strokeLinecap", "symbol", "r", "dx", "dy", "curve", "marker", "filter"],
  ...["frameAnchor", "textAnchor", "fontWeight", "rx2"],
]);

/** Data to draw. */
export interface Mark {
  readonly kind: MarkKind;
  readonly data: readonly unknown[];
  /** Whether an option is given. */
  has(name: string): boolean;
  /** An option's value for one datum. */
  of(name: string, datum: unknown): unknown;
  /** The mark with only the data whose `fy` is `value`; all data if either is undefined. */
  inFacet(value: unknown): Mark;
}

/**
 * Makes a mark.
 *
 * @param options constants, functions that compute a value from a datum, or names of its fields
 * @throws {TypeError} for an unknown option
 */
export function createMark(kind: MarkKind, data: readonly unknown[], options: Row): Mark {
  const stranger = Object.keys(options).find((name) => !known.has(name));
  if (stranger !== undefined) throw new TypeError(`plot: ${kind} does not know ${stranger}`);
  const of = (name: string, datum: unknown): unknown => {
    const option = options[name];
    if (typeof option === "function") return (option as (datum: unknown) => unknown)(datum);
    return typeof option === "string" && fields.has(name) ? (datum as Row)[option] : option;
  };
  const has = (name: string): boolean => options[name] !== undefined;
  const filter = options.filter as ((datum: unknown) => boolean) | undefined;
  const kept = filter === undefined ? data : data.filter((datum) => filter(datum));
  // A ruleX without `x`, or a ruleY without `y`, has numbers as data: the positions of its lines.
  const bare = (kind === "ruleX" && !has("x")) || (kind === "ruleY" && !has("y"));
  const own = kind === "ruleX" ? "x" : "y";
  return {
    kind,
    data: kept,
    has: (name) => has(name) || (bare && name === own),
    of: (name, datum) => bare && name === own ? datum : of(name, datum),
    inFacet(value) {
      if (value === undefined || !has("fy")) return this;
      return { ...this, data: kept.filter((datum) => of("fy", datum) === value) };
    },
  };
}
