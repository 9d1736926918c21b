import type { Gpu } from "../../../../mod.ts";
import { guardGpu } from "../../guards.ts";
import { type Report, Tally } from "../../report.ts";
import { adamWMatchesTwin } from "./adamw.ts";
import { attentionGateMatchesTwin } from "./attention_gate.ts";
import { crossEntropyMatchesTwin } from "./cross_entropy.ts";
import { embeddingMatchesTwin } from "./embedding.ts";
import { fakeQuantizeMatchesTwin } from "./fake_quantize.ts";
import { headNormMatchesTwin } from "./head_norm.ts";
import { headsMatchTwin, projectionsMatchTwin } from "./heads.ts";
import { learnedConstantMatchesTwin } from "./learned_constant.ts";
import { additionsMatchFloat32, sumsMatchTwin } from "./sums.ts";
import { swigluMatchesTwin } from "./swiglu.ts";

/**
 * On buffers that are longer than their tensors and full of NaN, the operators agree with the twin,
 * and write nothing past a tensor's end.
 */
export async function modelOperatorsStayInBounds(gpu: Gpu): Promise<Report> {
  const within = guardGpu(gpu);
  // Keeps the property's buffers until the bytes past their tensors are checked, and only then
  // frees them.
  const free = within.gpu.free.bind(within.gpu);
  const freed: GPUBuffer[] = [];
  within.gpu.free = (buffer) => void freed.push(buffer);
  const tally = new Tally();
  const all = [
    embeddingMatchesTwin,
    headNormMatchesTwin,
    headsMatchTwin,
    projectionsMatchTwin,
    swigluMatchesTwin,
    attentionGateMatchesTwin,
    crossEntropyMatchesTwin,
    additionsMatchFloat32,
    sumsMatchTwin,
    adamWMatchesTwin,
    learnedConstantMatchesTwin,
    fakeQuantizeMatchesTwin,
  ];
  for (const property of all) {
    await property(within.gpu);
    tally.count(await within.check());
    for (const buffer of freed.splice(0)) free(buffer);
  }
  return tally.report("a model's operators stay in bounds", all.length);
}
