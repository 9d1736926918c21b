/** The page's scenarios, one function each; `child.ts` runs them in one browser. */
import { compares, refusesHostileFiles, survivesLargeFiles } from "./comparing_scenarios.ts";
import { measuringPageFits, pagesFit } from "./layout_scenarios.ts";
import {
  measuresToTheEnd,
  pausesAndCancels,
  recoversALostDevice,
  showsWrongAsWrong,
} from "./measuring_scenarios.ts";
import {
  explainsMissingWebGpu,
  fitsAPhone,
  followsTheSliders,
  isAccessible,
  keepsTheSelection,
  opensFromThePublicFace,
} from "./page_scenarios.ts";
import type { Run, Scenario } from "./scenario.ts";
import { type Listed, scenarioList } from "./scenario_list.ts";

const runs: readonly Run[] = [
  measuresToTheEnd,
  showsWrongAsWrong,
  pausesAndCancels,
  compares,
  refusesHostileFiles,
  survivesLargeFiles,
  keepsTheSelection,
  explainsMissingWebGpu,
  followsTheSliders,
  isAccessible,
  fitsAPhone,
  pagesFit,
  measuringPageFits,
  opensFromThePublicFace,
  recoversALostDevice,
];

/** The scenarios by name, in the order of `scenario_list.ts`. */
export const scenarios: Readonly<Record<string, Scenario>> = Object.fromEntries(
  scenarioList.map(({ name, needsGpu }: Listed, i) => [name, { needsGpu, run: runs[i]! }]),
);
