/**
 * Properties of the measurements of sinks, worked by hand or compared with plain recomputations.
 * They take the measuring modules as arguments, so that tests can run them on broken ones.
 */
import { attentionProperties } from "./attention.ts";
import type { SinkProperty } from "./property.ts";
import { recomputedProperties } from "./recomputed.ts";
import { residualProperties } from "./residual.ts";
import { theoryProperties } from "./theory.ts";

export const sinkProperties: readonly SinkProperty[] = [
  ...attentionProperties,
  ...residualProperties,
  ...recomputedProperties,
  ...theoryProperties,
];
