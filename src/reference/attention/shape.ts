/**
 * The lengths of an attention call, and the shape checks of its tensors, for the float64 twin and
 * for the GPU's operators.
 */
import { checkShape, type Shaped, shapeText, valueText } from "../validation.ts";

/** The lengths of an attention call. */
export interface AttentionShape {
  /** B: the number of sequences. */
  readonly batches: number;
  /** Hq: the number of query heads, a multiple of Hkv. */
  readonly queryHeads: number;
  /** Hkv: the number of key and value heads. */
  readonly keyValueHeads: number;
  /** T: the number of positions. */
  readonly sequenceLength: number;
  /** D: the number of elements of a head's row. */
  readonly headDim: number;
}

/**
 * The tensors of an attention operator, by argument name. An operator passes those that it takes.
 */
export interface AttentionTensors {
  /** [B, Hq, T, D] */
  readonly query: Shaped;
  /** [B, Hkv, T, D] */
  readonly key: Shaped;
  /** [B, Hkv, T, D] */
  readonly value?: Shaped;
  /** [B, Hq, T, D] */
  readonly output?: Shaped;
  /** [B, Hq, T] */
  readonly logSumExp?: Shaped;
  /** [B, Hq, T, D] */
  readonly outputGradient?: Shaped;
  /** V-scale of the values, if any. */
  readonly vScale?: { readonly constant: Shaped; readonly mode: string } | undefined;
  /** The learned sinks, if any: [Hq] */
  readonly sinkLogit?: Shaped | undefined;
  /** The loss's gradient with respect to logSumExp, [B, Hq, T]; undefined stands for zeros */
  readonly logSumExpGradient?: Shaped | undefined;
}

/**
 * Checks the shapes of an attention operator's tensors against each other, and the V-scale mode. An
 * absent property is not checked. One that is present but undefined is refused, unless its type
 * allows undefined.
 *
 * @returns The lengths on which the tensors agree.
 * @throws {TypeError} If a shape does not fit, Hq is not a multiple of Hkv, or the mode is not a
 *   string.
 * @throws {RangeError} If the mode is unknown.
 */
export function checkAttentionShapes(
  operator: string,
  { vScale, sinkLogit, logSumExpGradient, ...tensors }: AttentionTensors,
): AttentionShape {
  const query = checkShape(tensors.query, {
    operator,
    name: "query",
    wanted: ["B", "Hq", "T", "D"],
  });
  const [batches, queryHeads, sequenceLength, headDim] = query as [number, number, number, number];
  const asQuery = `query is ${shapeText(query)}`;
  const key = checkShape(tensors.key, {
    operator,
    name: "key",
    wanted: [batches, "Hkv", sequenceLength, headDim],
    because: asQuery,
  });
  const asKey = `key is ${shapeText(key)}`;
  const keyValueHeads = key[1]!;
  if (queryHeads % keyValueHeads !== 0) {
    throw new TypeError(
      `${operator}: key has shape ${shapeText(key)}, wanted a number of heads that divides the ` +
        `query's ${queryHeads} as ${asQuery}`,
    );
  }
  const wanted = { value: key, output: query, logSumExp: query.slice(0, 3), outputGradient: query };
  for (const [name, shape] of Object.entries(wanted)) {
    if (!(name in tensors)) continue;
    const because = name === "value" ? asKey : asQuery;
    checkShape(tensors[name as "value"], { operator, name, wanted: shape, because });
  }
  if (vScale !== undefined) {
    if (vScale === null || typeof vScale !== "object") {
      throw new TypeError(`${operator}: vScale is ${valueText(vScale)}, wanted { constant, mode }`);
    }
    checkShape(vScale.constant, {
      operator,
      name: "vScale.constant",
      wanted: [keyValueHeads],
      because: asKey,
    });
    checkVScaleMode(operator, vScale.mode);
  }
  const optional = {
    sinkLogit: { given: sinkLogit, wanted: [queryHeads] },
    logSumExpGradient: { given: logSumExpGradient, wanted: query.slice(0, 3) },
  };
  for (const [name, { given, wanted }] of Object.entries(optional)) {
    if (given !== undefined) checkShape(given, { operator, name, wanted, because: asQuery });
  }
  return { batches, queryHeads, keyValueHeads, sequenceLength, headDim };
}

function checkVScaleMode(operator: string, mode: unknown): void {
  if (mode === "full" || mode === "backward-only") return;
  const message = `${operator}: vScale.mode is ${
    valueText(mode)
  }, wanted "full" or "backward-only"`;
  throw typeof mode === "string" ? new RangeError(message) : new TypeError(message);
}
