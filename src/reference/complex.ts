/**
 * Complex arithmetic for complex-step derivatives, with V-scale, RMSNorm and attention of one row.
 * The conjugate and the absolute value are missing on purpose: they are not analytic, so a complex
 * step through them would give wrong derivatives without throwing.
 */

/** A complex number. */
export interface Complex {
  /** The real part. */
  readonly re: number;
  /** The imaginary part. */
  readonly im: number;
}

/**
 * Makes a complex number.
 *
 * @param re The real part.
 * @param im The imaginary part. Default 0.
 * @returns re + i im.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { complex } = reference.complexNumbers;
 * console.log(complex(2)); // { re: 2, im: 0 }
 * ```
 */
export function complex(re: number, im = 0): Complex {
  return { re, im };
}

/**
 * Adds two complex numbers.
 *
 * @param a The first summand.
 * @param b The second summand.
 * @returns a + b.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { add, complex } = reference.complexNumbers;
 * console.log(add(complex(1, 2), complex(3, 4))); // { re: 4, im: 6 }
 * ```
 */
export function add(a: Complex, b: Complex): Complex {
  return { re: a.re + b.re, im: a.im + b.im };
}

/**
 * Subtracts two complex numbers.
 *
 * @param a The minuend.
 * @param b The subtrahend.
 * @returns a − b.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { complex, subtract } = reference.complexNumbers;
 * console.log(subtract(complex(1, 2), complex(3, 5))); // { re: -2, im: -3 }
 * ```
 */
export function subtract(a: Complex, b: Complex): Complex {
  return { re: a.re - b.re, im: a.im - b.im };
}

/**
 * Multiplies two complex numbers.
 *
 * @param a The first factor.
 * @param b The second factor.
 * @returns a b.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { complex, multiply } = reference.complexNumbers;
 * console.log(multiply(complex(0, 1), complex(0, 1))); // { re: -1, im: 0 }
 * ```
 */
export function multiply(a: Complex, b: Complex): Complex {
  return { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re };
}

/**
 * Divides two complex numbers.
 *
 * @param a The dividend.
 * @param b The divisor.
 * @returns a / b.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { complex, divide } = reference.complexNumbers;
 * console.log(divide(complex(5, 5), complex(1, 2))); // { re: 3, im: -1 }
 * ```
 */
export function divide(a: Complex, b: Complex): Complex {
  const squared = b.re * b.re + b.im * b.im;
  return {
    re: (a.re * b.re + a.im * b.im) / squared,
    im: (a.im * b.re - a.re * b.im) / squared,
  };
}

/**
 * The principal square root, analytic off the negative real axis.
 *
 * @param a The radicand.
 * @returns The root with a non-negative real part.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { complex, squareRoot } = reference.complexNumbers;
 * console.log(squareRoot(complex(3, 4))); // { re: 2, im: 1 }
 * ```
 */
export function squareRoot(a: Complex): Complex {
  const larger = Math.sqrt((Math.hypot(a.re, a.im) + Math.abs(a.re)) / 2);
  if (larger === 0) return { re: 0, im: 0 };
  const smaller = a.im / (2 * larger);
  if (a.re >= 0) return { re: larger, im: smaller };
  return { re: Math.abs(smaller), im: a.im < 0 ? -larger : larger };
}

/**
 * The exponential function.
 *
 * @param a The exponent.
 * @returns exp a.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { complex, exponential } = reference.complexNumbers;
 * console.log(exponential(complex(0, Math.PI))); // about -1
 * ```
 */
export function exponential(a: Complex): Complex {
  const size = Math.exp(a.re);
  return { re: size * Math.cos(a.im), im: size * Math.sin(a.im) };
}

function dot(a: readonly Complex[], b: readonly Complex[]): Complex {
  return a.reduce((sum, x, i) => add(sum, multiply(x, b[i]!)), complex(0));
}

/**
 * V-scale of one row: φ(r) v with r = ‖v‖² and φ(r) = r/(r + C).
 *
 * @param value The row v.
 * @param constant C.
 * @returns v̂.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { complex, vScaleRow } = reference.complexNumbers;
 * console.log(vScaleRow([complex(3), complex(4)], complex(25))); // 1.5, 2
 * ```
 */
export function vScaleRow(value: readonly Complex[], constant: Complex): Complex[] {
  const r = dot(value, value);
  const phi = divide(r, add(r, constant));
  return value.map((x) => multiply(phi, x));
}

/**
 * RMSNorm of one row.
 *
 * @param input The row x.
 * @param options The gain γ and ε.
 * @returns γ ⊙ x / √(mean(x²) + ε).
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { complex, rmsNormRow } = reference.complexNumbers;
 * const gain = [complex(1), complex(2)];
 * console.log(rmsNormRow([complex(1), complex(7)], { gain, epsilon: 0 })); // 0.2, 2.8
 * ```
 */
export function rmsNormRow(
  input: readonly Complex[],
  options: { readonly gain: readonly Complex[]; readonly epsilon: number },
): Complex[] {
  const mean = divide(dot(input, input), complex(input.length));
  const r = squareRoot(add(mean, complex(options.epsilon)));
  return input.map((x, i) => divide(multiply(options.gain[i]!, x), r));
}

/**
 * Softmax attention of one query row over all the given keys.
 *
 * @param query The row q.
 * @param options The keys and values, one row each, and the logits' factor.
 * @returns Σ_j softmax(scale ⟨q, k_j⟩)_j v_j.
 *
 * @example
 * ```ts
 * import { reference } from "@gradsink/gradsink";
 *
 * const { attentionRow, complex } = reference.complexNumbers;
 * const keys = [[complex(0)], [complex(Math.log(3))]];
 * const values = [[complex(4)], [complex(8)]];
 * console.log(attentionRow([complex(1)], { keys, values, scale: 1 })); // 4/4 + 3·8/4 = 7
 * ```
 */
export function attentionRow(
  query: readonly Complex[],
  options: {
    readonly keys: readonly (readonly Complex[])[];
    readonly values: readonly (readonly Complex[])[];
    readonly scale: number;
  },
): Complex[] {
  const { keys, values, scale } = options;
  const logits = keys.map((key) => multiply(complex(scale), dot(query, key)));
  // Subtracting one constant from all logits leaves their softmax as it is. If the constant is
  // their largest real part, no exponential overflows.
  const shift = complex(Math.max(...logits.map((logit) => logit.re)));
  const exponentials = logits.map((logit) => exponential(subtract(logit, shift)));
  const sum = exponentials.reduce(add);
  const weights = exponentials.map((value) => divide(value, sum));
  return query.map((_, i) => dot(weights, values.map((value) => value[i]!)));
}
