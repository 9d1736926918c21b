import type { StudyArm } from "../experiments/study_arms.ts";
import type { StudyScale } from "../experiments/study_settings.ts";
/** What the study asks of a run's process. */
export interface RunOrder {
  readonly arm: StudyArm;
  readonly scale: StudyScale;
  readonly folder: string;
  readonly suite: { readonly version: string; readonly commit: string | null };
}
