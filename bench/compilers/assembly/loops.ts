/**
 * Finds a program's loops in its control flow. The order of the text is not enough: compilers may
 * put code that runs after a loop before the loop's last jump.
 *
 * Source: Cooper, Harvey and Kennedy, "A simple, fast dominance algorithm", 2001; Aho, Lam, Sethi
 * and Ullman, "Compilers", section 9.6 (natural loops).
 */

/** A loop. Its blocks are given by their numbers. */
export interface NaturalLoop {
  /** The block through which the loop is entered. */
  readonly head: number;
  /** All blocks of the loop, including those of inner loops. */
  readonly body: ReadonlySet<number>;
}

/**
 * Finds the loops that have a single entry.
 *
 * @param successors each block's successors, by number; block 0 is the program's first
 * @returns the loops in the order of their heads
 */
export function naturalLoops(successors: readonly (readonly number[])[]): NaturalLoop[] {
  const order = reversePostorder(successors);
  const reached = new Set(order);
  const predecessors = successors.map((): number[] => []);
  for (const block of order) for (const next of successors[block]!) predecessors[next]!.push(block);
  const dominates = dominance(order, predecessors);
  const bodies = new Map<number, Set<number>>();
  for (const block of reached) {
    for (const head of successors[block]!) {
      if (!dominates(head, block)) continue;
      const body = bodies.get(head) ?? new Set([head]);
      bodies.set(head, addPredecessors(body, block, predecessors));
    }
  }
  return [...bodies].sort(([a], [b]) => a - b).map(([head, body]) => ({ head, body }));
}

// Adds `block` to the body, and every block from which a path outside the body leads to `block`.
function addPredecessors(
  body: Set<number>,
  block: number,
  predecessors: readonly (readonly number[])[],
): Set<number> {
  const waiting = [block];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (body.has(next)) continue;
    body.add(next);
    waiting.push(...predecessors[next]!);
  }
  return body;
}

function reversePostorder(successors: readonly (readonly number[])[]): number[] {
  const order: number[] = [];
  const seen = new Set([0]);
  const stack = [{ block: 0, next: 0 }]; // not recursive: programs can have thousands of blocks
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const next = successors[top.block]?.[top.next++];
    if (next === undefined) {
      order.push(top.block);
      stack.pop();
    } else if (!seen.has(next)) {
      seen.add(next);
      stack.push({ block: next, next: 0 });
    }
  }
  return order.reverse();
}

// Returns a function that tells whether the block `above` dominates the block `below`: whether
// every path from the program's start to `below` passes through `above`.
function dominance(
  order: readonly number[],
  predecessors: readonly (readonly number[])[],
): (above: number, below: number) => boolean {
  const place = new Map(order.map((block, i) => [block, i]));
  const parents = new Map([[order[0]!, order[0]!]]); // the nearest block that dominates each
  const meet = (a: number, b: number): number => {
    while (a !== b) {
      if (place.get(a)! > place.get(b)!) a = parents.get(a)!;
      else b = parents.get(b)!;
    }
    return a;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const block of order.slice(1)) {
      const known = predecessors[block]!.filter((each) => parents.has(each));
      const parent = known.reduce(meet);
      changed ||= parents.get(block) !== parent;
      parents.set(block, parent);
    }
  }
  return (above, below) => {
    let block = below;
    while (block !== above && block !== order[0]) block = parents.get(block)!;
    return block === above;
  };
}
