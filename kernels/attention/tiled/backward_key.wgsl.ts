/**
 * Attention backward, keyGradient alone: attention/tiled/backward_key_value.wgsl.ts without the
 * sums of valueGradient, for GPUs that give an invocation too few registers for both.
 *
 * To try it, on a GPU that gives an invocation 64 registers:
 * `deno task bench --kernels=attention --passes=backward --variants=tiled-32x64-2x4`.
 *
 * Source: as in backward_key_value.wgsl.ts.
 */
import { attentionBackwardKeyValueTiled } from "./backward_key_value.wgsl.ts";
import type { AttentionTiledOptions } from "./tile.ts";

/**
 * Writes the kernel. It needs the file not_a_number.wgsl in front.
 *
 * Bindings: 0 to 6 as in attention/tiled/backward_key_value.wgsl.ts; 7 keyGradient [B, Hkv, T, D].
 * It reads binding 6, valve, without writing it. Dispatch: (⌈T / rows⌉, Hkv, B).
 */
export function attentionBackwardKeyTiled(options: AttentionTiledOptions): string {
  return attentionBackwardKeyValueTiled(options, "key");
}
