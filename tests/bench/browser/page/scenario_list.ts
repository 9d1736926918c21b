/** The names of the page's scenarios, for tests that do not drive the browser themselves. */

export interface Listed {
  readonly name: string;
  readonly needsGpu: boolean;
}

/** The scenarios in the order in which they run. */
export const scenarioList: readonly Listed[] = [
  { name: "the page measures to the end, and its file is valid", needsGpu: true },
  { name: "the page shows a kernel that computes wrong as wrong, without a time", needsGpu: true },
  { name: "the page pauses, goes on, cancels, and keeps what it has", needsGpu: true },
  { name: "the page compares files as the command does", needsGpu: false },
  { name: "the page refuses hostile files in one clear line each", needsGpu: false },
  { name: "the page survives files of extraordinary size", needsGpu: false },
  { name: "the page keeps the selection in its address", needsGpu: true },
  { name: "the page says what to do where there is no WebGPU", needsGpu: false },
  { name: "the theory's picture follows the sliders", needsGpu: false },
  { name: "the page has no serious accessibility finding", needsGpu: false },
  { name: "the page fits a phone, and works by keyboard", needsGpu: true },
  { name: "every page of results fits a phone, a tablet and a laptop", needsGpu: false },
  { name: "the measuring page fits them too, with a comparison open", needsGpu: false },
  { name: "openGpu() opens the browser's GPU from a bundle of mod.ts", needsGpu: true },
  // Must come last: a browser whose GPU process was killed may never draw again.
  { name: "the page opens the GPU anew when it is lost in the middle of a run", needsGpu: true },
];
