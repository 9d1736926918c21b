/** `deno task bench:peers`: compares other libraries on the same work. */
import { basename } from "node:path";
import { describeHost, describeRuntime, describeSuite } from "../../src/cli/shared/machine.ts";
import {
  flag,
  formatOptions,
  type OptionSpecifications,
  parseArguments,
  takes,
  takesPath,
  UsageError,
} from "../../src/cli/shared/arguments.ts";
import { Progress, stderrOutput } from "../../src/cli/shared/progress.ts";
import {
  budgetSeconds,
  help,
  listOf,
  refuseOperands,
  seed,
  someOf,
  wholeNumber,
} from "../../src/cli/shared/options.ts";
import { type CommandProcess, runAsProcess } from "../../src/cli/shared/command.ts";
import { type CommandOutput, tellWritten } from "../../src/cli/shared/output.ts";
import { escapeTerminal } from "../../src/escape.ts";
import { checkWritable, writeTextFile } from "../../src/files/write.ts";
import { formatMarkdownTable, formatTerminalTable } from "../../src/report/table.ts";
import { compareOn, type Participant, type WorkResult } from "./compare.ts";
import { type Contender, startContender } from "./contender.ts";
import { libraries, type LibraryName } from "./libraries.ts";
import { peerTable } from "./table.ts";
import { startTorch } from "./libraries/torch_cpu.ts";
import { MODEL_CONTEXT, readModelWorks } from "./model_works.ts";
import { type Work, works } from "./works.ts";

const names = Object.keys(libraries) as LibraryName[];

/** The libraries that can compute a model from a folder. */
const MODEL_LIBRARIES: readonly LibraryName[] = ["gradsink", "torch-cpu"];

const options = {
  libraries: takes("A,B", `Libraries: ${names.join(", ")} (default all)`),
  works: takes("A,B", `Works: ${works.map(({ name }) => name).join(", ")} (default all)`),
  model: takesPath(
    "FOLDER",
    "Compare the libraries on this pretrained model instead: a folder in Hugging Face's layout",
  ),
  context: takes("TOKENS", `Tokens of the model's input (default ${MODEL_CONTEXT})`),
  budget: takes("SECONDS", "Sampling time per work, or longer if six rounds need more", {
    default: "30",
  }),
  seed: { ...seed, description: "Seed of the random order in which libraries take turns" },
  markdown: flag("Print the table as Markdown"),
  out: takesPath("FILE", "Also write all results as JSON"),
  help,
} as const satisfies OptionSpecifications;

const helpText = `Compares this project's kernels with other libraries on the same work.

Usage: deno task bench:peers [OPTIONS]

${formatOptions(options)}
Deno fetches the libraries from npm, about 750 MB. PyTorch takes part if python3 has torch, with one thread per
processor. A work is one operator and pass on one shape; --works names them. Every library runs each work in a new
process. In each round the libraries take turns in random order. Only answers that agree with float64 are timed. If a
library has several ways to do a work, the table shows its fastest; --out keeps all. If the machine is busy and the
adapter computes on the CPU, rely on the ratio of CPU times, not on that of times.

With --model, only this project and PyTorch take part. PyTorch then also needs transformers in python3. The backward
pass computes the gradients of states, but not of weights. Only answers that agree with each other are timed.

Exit codes:
  0    the comparison was made
  1    this project's kernels could not run, or the output cannot be written
  2    a mistake in the command line
  130  interrupted
`;

interface Request {
  readonly chosen: readonly LibraryName[];
  readonly work: readonly Work[];
  /** Whether the libraries compute a pretrained model instead of single operators. */
  readonly model: boolean;
  readonly budget: number;
  readonly seed: number;
  readonly markdown: boolean;
  readonly out: string | undefined;
}

async function parse(args: readonly string[]): Promise<Request | undefined> {
  const { switches, values, operands } = parseArguments(args, { options });
  if (switches.help) return undefined;
  refuseOperands(operands, "bench:peers");
  const chosen = someOf("libraries", {
    given: listOf("libraries", values.libraries),
    known: names,
  });
  if (values.context !== undefined && values.model === undefined) {
    throw new UsageError("--context needs a model: name one with --model");
  }
  const known = values.model === undefined
    ? works
    : await readModelWorks(values.model, values.context);
  const wanted = someOf("works", {
    given: listOf("works", values.works),
    known: known.map(({ name }) => name),
  });
  const able = values.model === undefined ? names : MODEL_LIBRARIES;
  return {
    chosen: able.filter((name) => name === "gradsink" || chosen.includes(name)),
    work: known.filter(({ name }) => wanted.includes(name)),
    model: values.model !== undefined,
    budget: budgetSeconds(values.budget),
    seed: wholeNumber("seed", values.seed),
    markdown: switches.markdown,
    out: values.out,
  };
}

// The permissions of a library that runs in Deno. Every such library may read files, environment
// variables and data about the system, and may load drivers. Only gradsink may also write files.
function flagsFor(name: LibraryName): string[] {
  const flags = ["--allow-read", "--allow-env", "--allow-sys", "--allow-ffi"];
  return name === "gradsink" ? [...flags, "--allow-write"] : flags;
}

async function start(name: LibraryName): Promise<Contender> {
  if (name === "torch-cpu") return await startTorch();
  const child = new URL("./child.ts", import.meta.url).href;
  const flags = ["--quiet", "--no-prompt", "--no-lock", ...flagsFor(name)];
  return startContender(["run", ...flags, child, name]);
}

async function run(
  request: Request,
  { interrupt, output }: CommandProcess,
): Promise<number> {
  if (request.out !== undefined) await checkWritable(request.out);
  const progress = new Progress(stderrOutput());
  const versions: Record<string, string> = {};
  let adapter = "";
  const results: WorkResult[] = [];
  const total = request.work.length;
  try {
    for (const work of request.work) {
      if (interrupt.aborted) break;
      const show = (text: string): void => progress.show({ done: results.length, total, text });
      // Start new processes for each work, so that what one work leaves behind in a library cannot
      // slow down or break the next work.
      const field = await loadAll(request.chosen, { show, interrupt });
      try {
        if (interrupt.aborted) break;
        Object.assign(versions, field.versions);
        adapter = field.adapter;
        const result = await compareOn(work, field.participants, {
          budget: request.budget,
          seed: request.seed,
          now: () => performance.now(),
          progress: show,
          interrupted: () => interrupt.aborted,
        });
        if (interrupt.aborted) break; // the libraries may have been interrupted, too
        results.push(withAbsent(result, field.absent));
        // Write after each work, so that the file has its results however the run ends.
        if (request.out !== undefined) await write(results, { request, adapter, versions });
      } finally {
        await Promise.all(field.participants.map(({ contender }) => contender.close()));
      }
    }
  } finally {
    progress.clear();
  }
  await report(results, { request, adapter, versions, output });
  return interrupt.aborted ? 130 : 0;
}

/** The participating libraries, and why others do not take part. */
interface Field {
  readonly participants: readonly Participant[];
  readonly versions: Readonly<Record<string, string>>;
  readonly absent: Readonly<Record<string, string>>;
  /** The adapter of all libraries that use WebGPU. Other libraries run native code on the CPU. */
  readonly adapter: string;
}

async function loadAll(
  names: readonly LibraryName[],
  { show, interrupt }: {
    readonly show: (text: string) => void;
    readonly interrupt: AbortSignal;
  },
): Promise<Field> {
  const participants: Participant[] = [];
  const versions: Record<string, string> = {};
  const absent: Record<string, string> = {};
  let adapter = "";
  for (const library of names) {
    if (interrupt.aborted) break;
    show(`loading ${library}`);
    const contender = await start(library);
    const reply = await contender.ready;
    if (reply.type === "ready") {
      Object.assign(versions, reply.versions);
      if (library === "gradsink") adapter = reply.adapter ?? "";
      if (reply.adapter === undefined || reply.adapter === adapter) {
        participants.push({ library, contender });
        continue;
      }
      absent[library] = `it runs on another adapter, ${reply.adapter}`;
    } else absent[library] = reply.type === "failed" ? reply.reason : "an answer out of turn";
    await contender.close();
    if (library === "gradsink" && !interrupt.aborted) throw new Error(absent[library]);
  }
  return { participants, versions, absent, adapter };
}

function withAbsent(result: WorkResult, absent: Readonly<Record<string, string>>): WorkResult {
  const missing = Object.entries(absent).map(([library, reason]) => ({
    library,
    way: "",
    status: "absent" as const,
    reason,
    samples: [],
    cpuSamples: [],
  }));
  return { ...result, results: [...result.results, ...missing] };
}

interface Found {
  readonly request: Request;
  readonly adapter: string;
  readonly versions: Readonly<Record<string, string>>;
}

async function report(
  results: readonly WorkResult[],
  { request, adapter, versions, output }: Found & { readonly output: CommandOutput },
): Promise<void> {
  const host = await describeHost();
  const runtime = describeRuntime("deno");
  const machine = [
    adapter,
    `Deno ${runtime.version}`,
    ...host.cpu === undefined ? [] : [host.cpu],
    ...host.logicalProcessors === undefined ? [] : [`${host.logicalProcessors} processors`],
  ].join(", ");
  const list = Object.entries(versions).filter(([name]) => name !== "gradsink")
    .map(([name, version]) => `${name} ${version}`).join(", ");
  const table = peerTable(results, { caption: machine });
  output.out(
    `${request.markdown ? formatMarkdownTable(table) : formatTerminalTable(table, output)}\n`,
  );
  output.out(`${escapeTerminal(list)}\n`);
  if (!request.model) {
    output.err("bench:peers: --model=FOLDER compares the passes of a pretrained model\n");
  }
  if (results.length > 0) tellWritten(output, "bench:peers", [request.out]);
}

async function write(
  results: readonly WorkResult[],
  { request, adapter, versions }: Found,
): Promise<void> {
  const file = {
    schema: "gradsink-peers/1",
    suite: await describeSuite(),
    date: new Date().toISOString(),
    runtime: describeRuntime("deno"),
    host: await describeHost(),
    adapter,
    versions,
    settings: { budgetSeconds: request.budget, seed: request.seed },
    works: results.map(({ work: { folder, ...work }, results }) => ({
      work: folder === undefined ? work : { ...work, model: basename(folder) },
      results,
    })),
  };
  await writeTextFile(request.out!, JSON.stringify(file, undefined, 2) + "\n");
}

if (import.meta.main) {
  await runAsProcess({ name: "bench:peers", parse, help: () => helpText, run });
}
