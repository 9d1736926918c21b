/**
 * Bigram tables: how often characters follow each other, as integer weights. Integers make the
 * probabilities of the draws exactly those from which the oracle's loss is computed.
 */
import { RandomStream, WEIGHT_BITS } from "./random_stream.ts";

/** The sum of every distribution's weights. */
export const WEIGHT_SUM = 2 ** WEIGHT_BITS;

/**
 * How probable each character is: in general, and after each other character. Character 0 is the
 * most frequent.
 */
export interface BigramTable {
  /** V, the number of characters. */
  readonly characters: number;
  /** [V]: each character's probability is its weight over {@linkcode WEIGHT_SUM}. */
  readonly unigram: Uint32Array<ArrayBuffer>;
  /** [V, V]: row i holds the weights of the characters that may follow character i. */
  readonly rows: Uint32Array<ArrayBuffer>;
}

/** Options of {@linkcode syntheticBigramTable}. */
export interface SyntheticBigramTableOptions {
  /** From 2 to 4,096. */
  readonly characters: number;
  /** Any safe integer of at least 0. */
  readonly seed: number;
  /**
   * The sum of the Dirichlet distribution's parameters. A larger sum makes all rows closer to the
   * unigram; with a smaller sum, fewer characters follow each character. Default 3.
   */
  readonly concentration?: number;
}

/**
 * Draws a table: the unigram is Zipf's, π_j ∝ 1 / (j + 1), and every row is drawn from
 * Dirichlet(concentration · π).
 *
 * @throws {RangeError} if an option is out of range
 *
 * @example
 * ```ts
 * import { syntheticBigramTable, WEIGHT_SUM } from "./bigram_table.ts";
 *
 * const table = syntheticBigramTable({ characters: 63, seed: 1 });
 * console.log(table.unigram[0]! / WEIGHT_SUM); // 0.211…
 * ```
 */
export function syntheticBigramTable(options: SyntheticBigramTableOptions): BigramTable {
  const operation = "syntheticBigramTable";
  const { characters, seed, concentration = 3 } = options;
  if (!Number.isSafeInteger(characters) || characters < 2 || characters > 4096) {
    throw new RangeError(
      `${operation}: characters is ${characters}, wanted an integer between 2 and 4096`,
    );
  }
  if (!(concentration > 0 && concentration < Infinity)) {
    throw new RangeError(
      `${operation}: concentration is ${concentration}, wanted a finite number above 0`,
    );
  }
  const zipf = Float64Array.from({ length: characters }, (_, j) => 1 / (j + 1));
  const total = zipf.reduce((sum, weight) => sum + weight, 0);
  const rows = new Uint32Array(characters * characters);
  for (let a = 0; a < characters; a++) {
    const stream = new RandomStream([seed, BIGRAM_STREAM, a]);
    const logarithms = zipf.map((weight) => logGamma(stream, concentration * weight / total));
    // Divide by the largest gamma number, so that it becomes 1. Otherwise, if the parameters are
    // small, all of them could round to 0.
    const largest = logarithms.reduce((most, each) => Math.max(most, each), -Infinity);
    rows.set(integerWeights(logarithms.map((each) => Math.exp(each - largest))), a * characters);
  }
  return { characters, unigram: integerWeights(zipf), rows };
}

/** Options of {@linkcode countedBigramTable}. */
export interface CountedBigramTableOptions {
  readonly text: string;
  /** The most characters that the table may have, from 2 to 4,096. */
  readonly characters: number;
}

/**
 * Makes a table by counting characters and pairs of characters in a text. Characters are Unicode
 * code points, numbered from the most frequent to the rarest. If the text has more than
 * `characters` different ones, the rarest share the last number.
 *
 * @throws {RangeError} if the text has fewer than 2 different characters, or `characters` is not an
 *   integer from 2 to 4,096
 */
export function countedBigramTable(options: CountedBigramTableOptions): BigramTable {
  const operation = "countedBigramTable";
  const { text, characters: most } = options;
  if (!Number.isSafeInteger(most) || most < 2 || most > 4096) {
    throw new RangeError(
      `${operation}: characters is ${most}, wanted an integer between 2 and 4096`,
    );
  }
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  if (counts.size < 2) {
    throw new RangeError(
      `${operation}: text holds ${counts.size} different characters, wanted at least 2`,
    );
  }
  const ordered = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  const characters = Math.min(most, ordered.length);
  const place = new Map(ordered.map(([character], i) => [character, Math.min(i, characters - 1)]));
  const unigram = new Float64Array(characters);
  const rows = new Float64Array(characters * characters);
  let before: number | undefined;
  for (const character of text) {
    const next = place.get(character)!;
    unigram[next]! += 1;
    if (before !== undefined) rows[before * characters + next]! += 1;
    before = next;
  }
  const weights = new Uint32Array(characters * characters);
  for (let a = 0; a < characters; a++) {
    const row = rows.subarray(a * characters, (a + 1) * characters);
    // A character that occurs only at the very end has no successor; its row is the unigram.
    const known = row.some((count) => count > 0);
    weights.set(integerWeights(known ? row : unigram), a * characters);
  }
  return { characters, unigram: integerWeights(unigram), rows: weights };
}

/**
 * An arbitrary constant. It makes the table's random numbers differ from those that other code
 * draws with the same seed.
 */
const BIGRAM_STREAM = 0xb16a;

/**
 * Scales weights to integers whose sum is {@linkcode WEIGHT_SUM}. First it rounds every scaled
 * weight down. Then it adds 1 to those that rounding lowered the most, until the sum is right.
 */
export function integerWeights(weights: Float64Array): Uint32Array<ArrayBuffer> {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const exact = weights.map((weight) => weight / total * WEIGHT_SUM);
  const integers = Uint32Array.from(exact, Math.floor);
  let left = WEIGHT_SUM - integers.reduce((sum, weight) => sum + weight, 0);
  const order = [...exact.keys()]
    .sort((i, j) => (exact[j]! - integers[j]!) - (exact[i]! - integers[i]!) || i - j);
  for (const i of order) {
    if (left-- <= 0) break;
    integers[i]! += 1;
  }
  return integers;
}

/**
 * Draws the logarithm of a gamma-distributed number with scale 1 (Marsaglia and Tsang, "A simple
 * method for generating gamma variables", 2000). For a shape k below 1 it draws a Gamma(k + 1)
 * number and multiplies it by U^(1/k), where U is uniform: the product is Gamma(k) distributed.
 */
function logGamma(stream: RandomStream, shape: number): number {
  const boost = shape < 1 ? Math.log(1 - stream.uniform()) / shape : 0;
  const d = (shape < 1 ? shape + 1 : shape) - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  while (true) {
    const x = stream.normal();
    const v = (1 + c * x) ** 3;
    const u = 1 - stream.uniform();
    if (v > 0 && Math.log(u) < 0.5 * x * x + d - d * v + d * Math.log(v)) {
      return Math.log(d * v) + boost;
    }
  }
}

/** The entropy of the distribution `weights / sum`, in nats. */
export function entropy(weights: Uint32Array, sum: number = WEIGHT_SUM): number {
  let total = 0;
  for (const weight of weights) {
    if (weight > 0) total -= weight / sum * Math.log(weight / sum);
  }
  return total;
}
