/**
 * A model's inner states on one batch: the states that gradient-sink measurements read, and the
 * loss's gradients with respect to some of them. `Numbers` is a tensor on the GPU, or its elements
 * on the CPU.
 */

/**
 * One layer's states for B sequences of T tokens. The model's configuration sets d, Hq, Hkv and D.
 */
export interface LayerTrace<Numbers> {
  /** h, the residual stream before the layer: [B, T, d] */
  readonly input: Numbers;
  /** Undefined in a layer without attention. */
  readonly attention: AttentionTrace<Numbers> | undefined;
  /**
   * h^{ℓ+½} = h + r_attn, the stream between attention and MLP: [B, T, d]; in a layer without
   * attention it equals the input.
   */
  readonly half: Numbers;
  /** h̃^{ℓ+½}, the RMSNorm output that feeds the MLP: [B, T, d] */
  readonly mlpNorm: Numbers;
  /** r_mlp, which the MLP adds to the stream: [B, T, d] */
  readonly mlpResidual: Numbers;
  /** h^{ℓ+1} = h^{ℓ+½} + r_mlp, the stream after the layer: [B, T, d] */
  readonly output: Numbers;
  /**
   * The loss's gradients with respect to some of the states. The gradients with respect to r_attn
   * and r_mlp need no fields: they equal `gradients.half` and `gradients.output`.
   */
  readonly gradients: {
    readonly input: Numbers;
    readonly half: Numbers;
    readonly mlpNorm: Numbers;
    readonly output: Numbers;
  };
}

/** The states inside one layer's attention. */
export interface AttentionTrace<Numbers> {
  /** h̃, the RMSNorm output that feeds attention: [B, T, d] */
  readonly norm: Numbers;
  /** After RoPE: [B, Hq, T, D] */
  readonly query: Numbers;
  /** After RoPE: [B, Hkv, T, D] */
  readonly key: Numbers;
  /** Before V-scale: [B, Hkv, T, D] */
  readonly value: Numbers;
  /** y, the heads' outputs before their gates: [B, Hq, T, D] */
  readonly output: Numbers;
  /** The logarithm of the softmax's denominator: [B, Hq, T] */
  readonly logSumExp: Numbers;
  /** How far each gate is open, 0 to 1: [B, T, Hq] or [B, T, Hq D]; undefined without gates. */
  readonly opening?: Numbers;
  /** r_attn, which attention adds to the stream: [B, T, d] */
  readonly residual: Numbers;
  /**
   * The loss's gradients with respect to the states of the same names. Because `value` is the state
   * before V-scale, the gradient with respect to it contains V-scale's derivative.
   */
  readonly gradients: {
    readonly norm: Numbers;
    readonly query: Numbers;
    readonly key: Numbers;
    readonly value: Numbers;
    readonly output: Numbers;
    /**
     * The gradient with respect to W_O's input: y′, the gates' output, or y if the model has no
     * gates. Heads are joined along the last dimension: [B, T, Hq D].
     */
    readonly gated?: Numbers;
  };
}

export interface Trace<Numbers> {
  /** B, the number of sequences. */
  readonly batch: number;
  /** T, the number of tokens in a sequence. */
  readonly context: number;
  readonly layers: readonly LayerTrace<Numbers>[];
}
