/**
 * Kernels broken on purpose, one line each, and the property that must fail on each of them. What
 * replaces what is the WGSL text itself, so a mutant that no longer applies to a changed kernel is
 * an error and not a silent pass.
 */
import { attentionBackwardMutants } from "./attention_backward.ts";
import { attentionForwardMutants } from "./attention_forward.ts";
import { modelMutants } from "./model.ts";
import type { Mutant } from "./mutant.ts";
import { rangeMutants } from "./range.ts";
import { rmsNormMutants } from "./rms_norm.ts";
import { sinkStatisticsMutants } from "./sink_statistics.ts";
import { sinkMutants } from "./sinks.ts";
import { vScaleMutants } from "./v_scale.ts";

/** The mutants, by kernel. */
export const mutants: readonly Mutant[] = [
  ...attentionForwardMutants,
  ...attentionBackwardMutants,
  ...sinkMutants,
  ...sinkStatisticsMutants,
  ...rmsNormMutants,
  ...vScaleMutants,
  ...modelMutants,
  ...rangeMutants,
];
