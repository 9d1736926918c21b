/**
 * Bloat, Compress and Change of one residual branch, h′ = h + r(RMSNorm(h)). Bloat: how much the
 * gradient ∇r = ∇h′ grows on its way back to the RMSNorm's output h̃. Compress: how much of ∇h̃ the
 * RMSNorm passes on to h. Change: how much the gradient grows from h′ back to h.
 *
 *     Bloat = ‖∇h̃‖ / ‖∇r‖    Compress = ‖∇h − ∇h′‖ / ‖∇h̃‖    Change = ‖∇h‖ / ‖∇h′‖
 *
 * Source: Chen, Lin, Yao, arXiv 2603.17771. Ratios are taken token by token; `../measurement.ts`
 * says why.
 */
import type { BranchMeasurement, CompressFit } from "../measurement/branch.ts";
import type { SinkSettings } from "../measurement/settings.ts";
import { compareEarly, medianOf, type Numbers, rowDistance, rowNorm } from "../numbers.ts";

/** A state of a branch and the gradients that its ratios need, each [B, T, d]. */
export interface BranchStates {
  /** h, the branch's start. */
  readonly input: Numbers;
  /** ∇h */
  readonly inputGradient: Numbers;
  /** ∇h̃ */
  readonly normGradient: Numbers;
  /** ∇h′ = ∇r */
  readonly outputGradient: Numbers;
}

/** One token's ‖h‖ and ratios. A ratio is undefined if it divides by 0 or rounding hides it. */
export interface TokenRatios {
  readonly inputNorm: number;
  readonly bloat: number | undefined;
  readonly compress: number | undefined;
  readonly change: number | undefined;
}

/**
 * The ratios of one token.
 *
 * ∇h is stored as the rounded sum of ∇h′ and the RMSNorm's gradient. If ‖∇h − ∇h′‖ is below
 * 4 u (‖∇h‖ + ‖∇h′‖), where u is the unit roundoff, it may be rounding alone. Then Compress is
 * undefined.
 *
 * @param row the token's place in [B, T]
 * @param width d
 */
export function tokenRatios(states: BranchStates, row: number, width: number): TokenRatios {
  const start = row * width;
  const { input, inputGradient, normGradient, outputGradient } = states;
  const norm = rowNorm(normGradient, start, width);
  const before = rowNorm(inputGradient, start, width);
  const after = rowNorm(outputGradient, start, width);
  const difference = rowDistance([inputGradient, outputGradient], start, width);
  const unit = inputGradient instanceof Float32Array ? 2 ** -24 : 2 ** -53;
  const resolved = difference >= 4 * unit * (before + after);
  return {
    inputNorm: rowNorm(input, start, width),
    bloat: after === 0 ? undefined : norm / after,
    compress: norm === 0 || !resolved ? undefined : difference / norm,
    change: after === 0 ? undefined : before / after,
  };
}

/**
 * Sums for the least-squares fit of log10 Compress against log10 ‖h‖.
 */
export class CompressRegression {
  #count = 0;
  #meanX = 0;
  #meanY = 0;
  #xx = 0;
  #xy = 0;
  #yy = 0;
  #low = Infinity;
  #high = -Infinity;

  /** Adds a token, unless its ‖h‖ is 0, or its Compress is 0 or undefined. */
  add({ inputNorm, compress }: TokenRatios): void {
    if (!(inputNorm > 0) || compress === undefined || !(compress > 0)) return;
    const x = Math.log10(inputNorm), y = Math.log10(compress);
    // Welford's update. Plain sums of squares would lose digits by cancellation if all norms are
    // nearly equal.
    this.#count++;
    const dx = x - this.#meanX, dy = y - this.#meanY;
    this.#meanX += dx / this.#count;
    this.#meanY += dy / this.#count;
    this.#xx += dx * (x - this.#meanX);
    this.#xy += dx * (y - this.#meanY);
    this.#yy += dy * (y - this.#meanY);
    this.#low = Math.min(this.#low, x);
    this.#high = Math.max(this.#high, x);
  }

  /** Adds another fit's tokens. */
  join(other: CompressRegression): void {
    if (other.#count === 0) return;
    const count = this.#count + other.#count;
    const dx = other.#meanX - this.#meanX, dy = other.#meanY - this.#meanY;
    const weight = this.#count * other.#count / count;
    this.#xx += other.#xx + weight * dx * dx;
    this.#xy += other.#xy + weight * dx * dy;
    this.#yy += other.#yy + weight * dy * dy;
    this.#meanX += dx * other.#count / count;
    this.#meanY += dy * other.#count / count;
    this.#count = count;
    this.#low = Math.min(this.#low, other.#low);
    this.#high = Math.max(this.#high, other.#high);
  }

  /** The fitted line; null for fewer than three tokens, or if all ‖h‖ or all Compress are equal. */
  fit(): CompressFit | null {
    if (this.#count < 3 || !(this.#xx > 0) || !(this.#yy > 0)) return null;
    const slope = this.#xy / this.#xx;
    return {
      slope,
      intercept: this.#meanY - slope * this.#meanX,
      explained: Math.min(1, this.#xy ** 2 / (this.#xx * this.#yy)),
      range: [this.#low, this.#high],
      tokens: this.#count,
    };
  }
}

const RATIOS = ["bloat", "compress", "change"] as const;

/** The number of sequences, counted from the first, whose tokens `BranchPoints` shows. */
const POINT_SEQUENCES = 2;

export class BranchMeter {
  readonly regression: CompressRegression = new CompressRegression();
  readonly #context: number;
  readonly #width: number;
  readonly #tokens: TokenRatios[] = [];

  /** @param shape T and d */
  constructor({ context, width }: { readonly context: number; readonly width: number }) {
    this.#context = context;
    this.#width = width;
  }

  add(states: BranchStates, batch: number): void {
    for (let row = 0; row < batch * this.#context; row++) {
      const token = tokenRatios(states, row, this.#width);
      this.#tokens.push(token);
      this.regression.add(token);
    }
  }

  result(
    settings: SinkSettings,
    kept: { readonly positions: readonly number[]; readonly points: readonly number[] },
  ): BranchMeasurement {
    const context = this.#context;
    const sequences = this.#tokens.length / context;
    const medians = (read: (token: TokenRatios) => number | undefined): (number | null)[] =>
      Array.from({ length: context }, (_, t) => {
        const values: number[] = [];
        for (let n = 0; n < sequences; n++) {
          const value = read(this.#tokens[n * context + t]!);
          if (value !== undefined) values.push(value);
        }
        return medianOf(values) ?? null;
      });
    const byPosition = {
      inputNorm: medians((token) => token.inputNorm) as number[],
      bloat: medians((token) => token.bloat),
      compress: medians((token) => token.compress),
      change: medians((token) => token.change),
    };
    const at = <Value>(values: readonly Value[]) => kept.positions.map((t) => values[t]!);
    const points = Array.from(
      { length: Math.min(POINT_SEQUENCES, sequences) },
      (_, sequence) =>
        kept.points.map((position) => ({
          sequence,
          position,
          ...this.#tokens[sequence * context + position]!,
        })),
    ).flat();
    const [bloat, compress, change] = RATIOS.map((name) => {
      const values = byPosition[name];
      const [first, last] = settings.early;
      const needed = [values[settings.position]!, ...values.slice(first, last + 1)];
      return needed.includes(null) ? null : compareEarly(values as number[], settings);
    });
    return {
      byPosition: {
        inputNorm: at(byPosition.inputNorm),
        bloat: at(byPosition.bloat),
        compress: at(byPosition.compress),
        change: at(byPosition.change),
      },
      points: {
        sequence: points.map((point) => point.sequence),
        position: points.map((point) => point.position),
        inputNorm: points.map((point) => point.inputNorm),
        bloat: points.map((point) => point.bloat ?? null),
        compress: points.map((point) => point.compress ?? null),
        change: points.map((point) => point.change ?? null),
      },
      compressFit: this.regression.fit(),
      bloat: bloat!,
      compress: compress!,
      change: change!,
    };
  }
}
