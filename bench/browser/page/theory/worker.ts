/**
 * A Worker that computes the numbers of the theory's pictures: on the GPU while the page lets it,
 * otherwise in float64.
 */
import type { Gpu } from "../../../../src/gpu/gpu.ts";
import { openBrowserGpu } from "../../../../src/gpu/open_browser_gpu.ts";
import { computeTheory, type TheoryInput, type TheoryOutput } from "./model.ts";
import { answerWith } from "../worker/answers.ts";

/** A question to the Worker. */
export interface TheoryQuestion {
  readonly input: TheoryInput;
  /** Whether the GPU may be used now. */
  readonly gpu: boolean;
}

/** Returns the function that receives the page's questions about the theory and answers them. */
export function computeTheoryHere(): (message: unknown) => void {
  let gpu: Gpu | undefined;
  let broken = false;
  return answerWith(async (question: TheoryQuestion): Promise<TheoryOutput> => {
    const { input } = question;
    if (question.gpu && !broken) {
      try {
        gpu ??= await openBrowserGpu();
        return await computeTheory(input, gpu);
      } catch {
        gpu?.dispose();
        gpu = undefined;
        broken = true;
      }
    }
    // While the page measures, `question.gpu` is false: nothing else may use the GPU or its memory.
    gpu?.dispose();
    gpu = undefined;
    return await computeTheory(input, undefined);
  });
}
