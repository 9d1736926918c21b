import { onEachRuntime } from "../support/gpu.ts";
import {
  rmsNormObeysItsIdentities,
  rmsNormScales,
  rmsNormTakesManyRows,
} from "../support/properties/rows/rms_norm_laws.ts";
import { rowsAreAdjoint } from "../support/properties/rows/adjoint.ts";
import { rowsKeepToThemselves } from "../support/properties/rows/apart.ts";
import { vScaleObeysItsIdentities } from "../support/properties/rows/v_scale_laws.ts";

onEachRuntime(
  "rmsNormBackward() obeys the identities and bounds N1 to N4",
  rmsNormObeysItsIdentities,
);
onEachRuntime("rmsNormForward() and rmsNormBackward() obey the scaling laws", rmsNormScales);
onEachRuntime(
  "vScaleBackward() obeys the identities and bounds V1 to V3",
  vScaleObeysItsIdentities,
);
onEachRuntime("rmsNormBackward() and vScaleBackward() are adjoint to the forwards", rowsAreAdjoint);
onEachRuntime(
  "RMSNorm and V-scale are deterministic, overwrite poisoned outputs, and keep rows apart",
  rowsKeepToThemselves,
);
onEachRuntime("RMSNorm takes more than 65,535 rows", rmsNormTakesManyRows);
