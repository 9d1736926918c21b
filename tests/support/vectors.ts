/** Vector arithmetic on plain numbers, from the twin or from a GPU. */

/** A tensor from the twin or a GPU: the elements in row-major order, and the shape. */
export interface Plain {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}

/** ⟨a, b⟩ */
export function inner(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** ‖a‖ */
export function norm(a: ArrayLike<number>): number {
  return Math.sqrt(inner(a, a));
}

/** ‖a − b‖ */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum);
}
