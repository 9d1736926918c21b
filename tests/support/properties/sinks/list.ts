/**
 * What must be true of the measurements of sinks, worked by hand or against plain recomputations,
 * as functions of the modules that measure: so that deliberately broken ones can be shown to fail.
 */
import { attentionProperties } from "./attention.ts";
import type { SinkProperty } from "./property.ts";
import { recomputedProperties } from "./recomputed.ts";
import { residualProperties } from "./residual.ts";
import { theoryProperties } from "./theory.ts";

/** All properties of the measurements. */
export const sinkProperties: readonly SinkProperty[] = [
  ...attentionProperties,
  ...residualProperties,
  ...recomputedProperties,
  ...theoryProperties,
];
