/** Finds the known word closest to a mistyped one. */

/**
 * The least number of insertions, deletions, replacements and swaps of neighboring letters that
 * turn one word into another (optimal string alignment).
 */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(previous[j]! + 1, current[j - 1]! + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, before[j - 2]! + 1);
      }
      current.push(best);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length]!;
}

/**
 * Finds the candidate that is closest to a word. A candidate is close if it begins with the word
 * (of at least two letters), or if few changes turn the word into it: one, or at most as many as a
 * third of the word's letters.
 *
 * @returns the closest candidate; undefined if none is close
 */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const given = word.slice(0, 40).toLowerCase();
  let best: string | undefined;
  let least = Math.max(1, Math.floor(Math.max(given.length, 3) / 3)) + 1;
  for (const candidate of candidates) {
    const distance = candidate.toLowerCase().startsWith(given) && given.length > 1
      ? 0.5
      : editDistance(given, candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/**
 * Lists the accepted words for an error message, and suggests the one closest to `word`, if any.
 */
export function wantedNames(word: string, known: readonly string[]): string {
  const near = closest(word, known);
  return `wanted ${known.join(", ")}${near === undefined ? "" : ` (did you mean ${near}?)`}`;
}
