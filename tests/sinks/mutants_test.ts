/** Breaks one formula of the measurements at a time: some property must fail each time. */
import { readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { assert } from "../support/assert/assert.ts";
import { sinkProperties } from "../support/properties/sinks/list.ts";
import type { SinkModules } from "../support/properties/sinks/property.ts";
import { testWith } from "../support/permitted.ts";

const test = testWith("read", "write");

/** A file of src/sinks/, the text to replace in it, and the replacement. */
interface Mutant {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const mutants: Readonly<Record<string, Mutant>> = {
  "uniform attention counts as a sink": {
    file: "uniform.ts",
    from: "score > threshold && score > uniform * (1 + ROUNDING)",
    to: "score > threshold",
  },
  "a sequence's score is compared with those before it": {
    file: "meters/head.ts",
    from: "if (isSink(score, { threshold, uniform })) sums.sinks++;",
    to: "if (isSink(sums.score, { threshold, uniform })) sums.sinks++;",
  },
  "uniform attention is counted from 1": {
    file: "uniform.ts",
    from: "1 / (t + 1)",
    to: "1 / (t + 2)",
  },
  "the mean of R_GS holds s itself": {
    file: "numbers.ts",
    from: "if (t === position) continue;",
    to: "",
  },
  "R_GS compares with one position less": {
    file: "meters/gradient.ts",
    from: "first: 0, last: lastGradientPosition",
    to: "first: 0, last: lastGradientPosition - 1",
  },
  "the score's window ends one query early": {
    file: "meters/head.ts",
    from: "if (t < end)",
    to: "if (t < end - 1)",
  },
  "the score divides by the window also where it is cut off": {
    file: "meters/head.ts",
    from: "a / (end - position)",
    to: "a / window",
  },
  "a sink's logit takes nothing of the rows": {
    file: "theory/head.ts",
    from: "Math.abs(rowSum - numbers.shares[t]! * own)",
    to: "Math.abs(rowSum)",
  },
  "a sink's logit takes nothing of the weights": {
    file: "theory/head.ts",
    from: "sums[t]! += Math.exp(sink - logSumExp[rows + t]!);",
    to: "",
  },
  "the first query has no gradient beside a sink's logit": {
    file: "theory/head.ts",
    from: "excess += (gradients.query[row + i]! - slope * key[keys * headDim + i]!) ** 2;",
    to: "excess += gradients.query[row + i]! ** 2;",
  },
  "a sink's logit is no key of the query bound": {
    file: "theory/head.ts",
    from: "farthest = sink ? rowNorm(meanKey, 0, headDim) ** 2 : 0",
    to: "farthest = 0",
  },
  "a gate lets all of the gradient through": {
    file: "theory/gate.ts",
    from: "const wanted = open * gated[row * width + column]!;",
    to: "const wanted = gated[row * width + column]!;",
  },
  "s is among the idle queries": {
    file: "meters/head.ts",
    from: "let t = Math.max(position + 1, idleFrom)",
    to: "let t = Math.max(position, idleFrom)",
  },
  "idle queries count from 0": {
    file: "meters/head.ts",
    from: "let t = Math.max(position + 1, idleFrom)",
    to: "let t = position + 1",
  },
  "the second moment is the mass": {
    file: "meters/head.ts",
    from: "sums.secondMoment += a * a",
    to: "sums.secondMoment += a",
  },
  "a score at the threshold is a sink": {
    file: "meters/head.ts",
    from: "value! > threshold",
    to: "value! >= threshold",
  },
  "the second group reads the first key head": {
    file: "attention_column.ts",
    from: "Math.floor((head % queryHeads) / group)",
    to: "0",
  },
  "norms before the sum over the batch": {
    file: "meters/gradient.ts",
    from: "this.#sum[to + i]! += scaled",
    to: "this.#sum[to + i]! += Math.abs(scaled)",
  },
  "batches weigh the same, whatever their size": {
    file: "meters/gradient.ts",
    from: "batch * gradient[from + i]!",
    to: "gradient[from + i]!",
  },
  "single gradients are not those of a sequence's own loss": {
    file: "meters/gradient.ts",
    from: "squares += scaled * scaled",
    to: "squares += gradient[from + i]! ** 2",
  },
  "Bloat is upside down": {
    file: "meters/branch.ts",
    from: "norm / after",
    to: "after / norm",
  },
  "Compress forgets the gradient that goes past the branch": {
    file: "meters/branch.ts",
    from: "difference / norm",
    to: "before / norm",
  },
  "Change is upside down": {
    file: "meters/branch.ts",
    from: "before / after",
    to: "after / before",
  },
  "a difference of nothing counts for Compress": {
    file: "meters/branch.ts",
    from: "norm === 0 || !resolved",
    to: "norm === 0",
  },
  "the slope is that over natural numbers": {
    file: "meters/branch.ts",
    from: "const x = Math.log10(inputNorm)",
    to: "const x = inputNorm",
  },
  "the MLP's branch starts at the layer's input": {
    file: "meters/layer.ts",
    from: "inputGradient: layer.gradients.half",
    to: "inputGradient: layer.gradients.input",
  },
  "the attention's branch ends at the layer's output": {
    file: "meters/layer.ts",
    from: "outputGradient: layer.gradients.half",
    to: "outputGradient: layer.gradients.output",
  },
  "used values are those before V-scale": {
    file: "meters/layer.ts",
    from: `valve === undefined || valve.mode`,
    to: `true || valve!.mode`,
  },
  "100 times is enough to be massive": {
    file: "meters/norm.ts",
    from: "if (!(magnitude > 100 * median)) continue",
    to: "if (!(magnitude >= 100 * median)) continue",
  },
  "massive activations anywhere stand at s": {
    file: "meters/norm.ts",
    from: "% context === this.#position",
    to: "% context >= 0",
  },
  "a batch's norms are a sum": {
    file: "meters/norm.ts",
    from: "(sum) => sum / this.#sequences",
    to: "(sum) => sum",
  },
  "θ does not reach the constant": {
    file: "valve.ts",
    from: "vScaleConstant(config) * Math.exp(value)",
    to: "vScaleConstant(config)",
  },
  "the mass leaves out t = s": {
    file: "theory/head.ts",
    from: "mass += a;",
    to: "mass += s < t ? a : 0;",
  },
  "the mass bound looks at the gradients before s": {
    file: "theory/head.ts",
    from: "for (let s = context - 1; s >= 0; s--) {\n    largestGradient",
    to: "for (let s = 0; s < context; s++) {\n    largestGradient",
  },
  "the second-moment bound forgets the root": {
    file: "theory/head.ts",
    from: "Math.sqrt(moment * squares)",
    to: "moment * squares",
  },
  "β looks at the value alone": {
    file: "theory/head.ts",
    from: "width: headDim }) - own;",
    to: "width: headDim });",
  },
  "the key path forgets 1/√D": {
    file: "theory/head.ts",
    from: "sums.keyGradient[s * headDim + i]! += scale * a",
    to: "sums.keyGradient[s * headDim + i]! += a",
  },
  "the query path looks at the wrong weights": {
    file: "theory/head.ts",
    from: "wanted[i]! += scale * a * b",
    to: "wanted[i]! += scale * a * a * b",
  },
  "the value path forgets V-scale": {
    file: "theory/attention.ts",
    from: "constant === undefined ? sums.valueGradient",
    to: "true ? sums.valueGradient",
  },
  "the value bounds forget V-scale": {
    file: "theory/attention.ts",
    from: ": lambdaParallel(rowNorm(value, at, headDim) ** 2, constant)",
    to: ": 1",
  },
  "V-scale in the backward pass only changes the forward pass": {
    file: "theory/attention.ts",
    from: 'valve?.mode === "backward-only"',
    to: "false",
  },
  "the farthest key is measured from the first": {
    file: "theory/head.ts",
    from: "meanKey[i]! += a * key",
    to: "meanKey[i]! += 0 * key",
  },
  "the Jacobian has no radial part": {
    file: "theory/norm.ts",
    from: "- (u / r - x * uh / (width * r ** 3))",
    to: "- u / r",
  },
  "ε is no part of the radial gradient": {
    file: "theory/norm.ts",
    from: "radial - epsilon * uh / r ** 3",
    to: "radial - 2 * epsilon * uh / r ** 3",
  },
  "the compress bound takes the mean gain": {
    file: "theory/norm.ts",
    from: "const most = largestGain / r",
    to: "const most = 0.5 * largestGain / r",
  },
  "violations are not counted": {
    file: "theory/slack.ts",
    from: "if (violation > tolerance) this.#violations++",
    to: "",
  },
  "slack is upside down": {
    file: "theory/slack.ts",
    from: "Math.min(bound / actual",
    to: "Math.min(actual / bound",
  },
};

const folder = new URL("../../src/sinks/", import.meta.url);

/** The sources of src/sinks/, by path. */
async function readSources(): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".ts"));
  const read = async (name: string) =>
    [name, await Deno.readTextFile(new URL(name, folder))] as const;
  return new Map(await Promise.all(names.map(read)));
}

const relative = /from "(\.\.?\/[^"]+)"/g;

/**
 * A file and all files that import it, directly or not: those that a change of the file affects.
 */
function reachedFrom(file: string, sources: ReadonlyMap<string, string>): ReadonlySet<string> {
  const reached = new Set([file]);
  for (const target of reached) {
    const { href } = new URL(target, folder);
    for (const [name, source] of sources) {
      const imports = [...source.matchAll(relative)]
        .map(([, specifier]) => new URL(specifier!, new URL(name, folder)).href);
      if (imports.includes(href)) reached.add(name);
    }
  }
  return reached;
}

let sources: Promise<ReadonlyMap<string, string>> | undefined;

/** Loads the modules of src/sinks/ with one changed, from copies of all affected modules. */
async function loadMutant(into: string, { file, from, to }: Mutant): Promise<SinkModules> {
  const all = await (sources ??= readSources());
  const reached = reachedFrom(file, all);
  for (const name of reached) {
    const original = new URL(name, folder);
    let source = all.get(name)!;
    if (name === file) {
      assert(source.includes(from), `${file} has no ${JSON.stringify(from)}`);
      source = source.replaceAll(from, () => to);
    }
    source = source.replaceAll(relative, (found, specifier) => {
      const { href } = new URL(specifier, original);
      return reached.has(href.slice(folder.href.length)) ? found : `from "${href}"`;
    });
    await Deno.mkdir(dirname(`${into}/${name}`), { recursive: true });
    await Deno.writeTextFile(`${into}/${name}`, source);
  }
  const load = (name: string) =>
    import((reached.has(name) ? pathToFileURL(`${into}/${name}`) : new URL(name, folder)).href);
  return { ...await load("meter.ts"), ...await load("theory.ts") };
}

for (const [name, mutant] of Object.entries(mutants)) {
  test(`sinks: properties fail when ${name}`, async () => {
    const into = await Deno.makeTempDir();
    try {
      const modules = await loadMutant(into, mutant);
      const failed = sinkProperties.some(({ check }) => {
        try {
          check(modules);
          return false;
        } catch {
          return true;
        }
      });
      assert(failed, "no property fails");
    } finally {
      await Deno.remove(into, { recursive: true });
    }
  });
}
