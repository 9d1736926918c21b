/**
 * Registers `Deno.bench` benchmarks of operators on shapes that suit the adapter. Fused and naive
 * variants of the same work form a group. Each file that calls {@linkcode benchOperators} ends with
 * a table of GPU times on stderr. stdout is Deno's own report, so `deno bench --json` stays valid
 * JSON.
 *
 * Options go after `--`: `deno bench -- --grid=full` for more shapes (quick, default, full),
 * `--runtime=dawn` for Dawn (which needs `--allow-ffi`), `--software=always` for an adapter on the
 * CPU, `--adapter=NAME` for a certain GPU, `--variants=subgroup-16,naive` for variants other than
 * `naive` and the operator's default (`chosen`).
 */
import { openGpu, type OpenGpuOptions } from "../src/gpu/open_gpu.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { chooseRepeats } from "../src/measure/timing/repeats.ts";
import type { GridName, PassName, Shape } from "../src/measure/workloads/operator.ts";
import type { OperatorName } from "../src/measure/workloads/operators.ts";
import { shapesOf } from "../src/measure/workloads/shapes.ts";
import { GpuTimer, type Span } from "../src/measure/timing.ts";
import { createWorkload, type Workload } from "../src/measure/workloads.ts";
import { chosenVariant } from "../src/measure/workloads/variants.ts";
import { formatShape } from "../src/report/format.ts";
import { naive } from "./baselines/naive.ts";
import { type BenchRow, benchTable } from "./table.ts";

/** An operator to bench. */
export interface BenchedOperator {
  readonly kernel: OperatorName;
  readonly pass: PassName;
}

/**
 * A benchmark whose workload exists only while it runs: all workloads together would not fit a
 * GPU's memory.
 */
interface Bench extends BenchedOperator {
  readonly shape: Shape;
  readonly variant: string;
}

/** The findings of a rehearsal, which compiles a kernel, checks it and times it roughly. */
interface Rehearsed {
  readonly bench: Bench;
  /** ns of one run, from the rehearsal. */
  readonly time: number;
  /** The number of runs that a compute pass needs for a good measurement. */
  readonly repeats: number;
  /** What is wrong with the kernel's output; the benchmark then fails. */
  readonly fault?: string;
}

/**
 * The least duration of a compute pass in ns, so that submitting it is a small part of Deno's wall
 * times.
 */
const LEAST_SPAN = 2e6;
/** The most runs in a compute pass. */
const MOST_REPEATS = 1024;
/** The most time in ns for all iterations of one benchmark. */
const BUDGET = 0.8e9;
/** The unmeasured time of an iteration in ns: Deno sleeps 10 ms in each wait. */
const OVERHEAD = 12e6;

/**
 * Opens a GPU, checks and warms up the operators, and registers their benchmarks.
 *
 * @param operators the operators to bench
 * @throws {Error} if there is no usable adapter, saying what was tried and what to install
 * @throws {RangeError} for an unknown option value
 */
export async function benchOperators(operators: readonly BenchedOperator[]): Promise<void> {
  const gpu = await openGpu({
    ...chosen("runtime") as Pick<OpenGpuOptions, "runtime">,
    ...chosen("software") as Pick<OpenGpuOptions, "software">,
    ...chosen("adapter") as Pick<OpenGpuOptions, "adapter">,
  });
  const timer = await GpuTimer.open(gpu, { clocks: { wall: () => performance.now() * 1e6 } });
  const stage = new Stage(gpu, timer);
  const { software } = gpu.info;
  const wanted = (chosen("variants").variants ?? "chosen,naive").split(",");
  for (const { kernel, pass } of operators) {
    for (const shape of shapesOf(kernel, { ...chosen("grid") as { grid?: GridName }, software })) {
      const rehearsed: Rehearsed[] = [];
      const usual = chosenVariant(gpu, { kernel, pass, shape });
      for (const variant of wanted.map((name) => name === "chosen" ? usual : name)) {
        const result = await stage.rehearse({ kernel, pass, shape, variant });
        if (result !== undefined) rehearsed.push(result);
      }
      register(stage, rehearsed);
    }
  }
  addEventListener("unload", () => {
    const color = Deno.stderr.isTerminal();
    const text = benchTable(stage.rows, { info: gpu.info, timer: timer.timer, color });
    Deno.stderr.writeSync(new TextEncoder().encode(`\n${text}`));
    timer.dispose();
    gpu.dispose();
  });
}

// The option `--name=value` as `{ name: value }`; `{}` without it.
function chosen(name: string): Record<string, string> {
  const prefix = `--${name}=`;
  const argument = Deno.args.find((argument) => argument.startsWith(prefix));
  return argument === undefined ? {} : { [name]: argument.slice(prefix.length) };
}

// Registers a group's benchmarks. An iteration has equally many runs of each variant, so that Deno
// compares the variants fairly.
function register(stage: Stage, rehearsed: readonly Rehearsed[]): void {
  const repeats = Math.max(...rehearsed.map((each) => each.repeats));
  for (const { bench, time, fault } of rehearsed) {
    const { kernel, pass, shape, variant } = bench;
    const title = variant === naive.name ? variant : `fused (${variant})`;
    const runs = repeats === 1 ? "" : `, ${repeats} runs an iteration`;
    const n = Math.round(BUDGET / (repeats * time + OVERHEAD));
    Deno.bench({
      name: `${kernel} ${pass}, ${title}`,
      group: `${kernel} ${pass}, ${shape.name} (${formatShape(shape.dimensions)})${runs}`,
      baseline: variant === naive.name,
      // Deno adds one or two iterations.
      n: Math.min(30, Math.max(3, n)),
      async fn(b: Deno.BenchContext): Promise<void> {
        if (fault !== undefined) throw new Error(fault);
        await stage.perform(bench, { repeats, started: () => b.start(), finished: () => b.end() });
      },
    });
  }
}

/** Holds the workload of one benchmark at a time, and collects the times of all benchmarks. */
class Stage {
  /** The results, in the order of the rehearsals. */
  readonly rows: (BenchRow & { readonly samples: number[] })[] = [];
  readonly #gpu: Gpu;
  readonly #timer: GpuTimer;
  #current: { readonly bench: Bench; readonly workload: Workload } | undefined;

  constructor(gpu: Gpu, timer: GpuTimer) {
    this.#gpu = gpu;
    this.#timer = timer;
  }

  /**
   * Compiles a benchmark, checks its output, and times it roughly. Returns undefined if it cannot
   * run.
   */
  async rehearse(bench: Bench): Promise<Rehearsed | undefined> {
    const row = { ...bench, cost: { flops: 0, bytes: 0 }, samples: [] };
    try {
      const { plan, check } = this.#open(bench);
      const { error, tolerance, output } = await check();
      if (!(error <= tolerance)) {
        const allowed = tolerance.toExponential(1);
        const reason = `${output} is wrong by ${error.toExponential(1)}, allowed is ${allowed}`;
        this.rows.push({ ...row, reason });
        return { bench, repeats: 1, time: 0, fault: reason };
      }
      const timer = this.#timer;
      const span: Span = (pass) => plan.encode(pass);
      const least = Math.max(LEAST_SPAN, timer.minimumSpan);
      const repeats = await chooseRepeats(span, { timer, span: least, maximum: MOST_REPEATS });
      const { spans, wall } = await timer.time([repeated(span, repeats)]);
      this.rows.push({ ...row, cost: plan.cost });
      return { bench, repeats, time: (spans[0] ?? wall) / repeats };
    } catch (error) {
      // A RangeError means that the shape is too large for this adapter, or that the variant cannot
      // run this shape on it. The other benchmarks still run.
      if (!(error instanceof RangeError)) throw error;
      this.rows.push({ ...row, reason: error.message });
      return undefined;
    }
  }

  /** One iteration of a benchmark. */
  async perform(
    bench: Bench,
    { repeats, started, finished }: {
      readonly repeats: number;
      readonly started: () => void;
      readonly finished: () => void;
    },
  ): Promise<void> {
    const span: Span = (pass) => workload.plan.encode(pass);
    let workload: Workload;
    if (this.#current?.bench === bench) {
      ({ workload } = this.#current);
    } else {
      workload = this.#open(bench);
      await this.#timer.time([repeated(span, repeats)]); // warm-up
    }
    const { spans, wall } = await this.#timer.time([repeated(span, repeats)], {
      started,
      finished,
    });
    const time = this.#timer.timer.kind === "timestamp" ? spans[0] : wall;
    const row = this.rows.find(({ kernel, pass, shape, variant }) =>
      kernel === bench.kernel && pass === bench.pass && shape === bench.shape &&
      variant === bench.variant
    );
    if (time !== undefined) row?.samples.push(time / repeats);
  }

  #open(bench: Bench): Workload {
    this.#current?.workload.dispose();
    this.#current = undefined;
    const workload = createWorkload(this.#gpu, { ...bench, implementations: [naive] });
    this.#current = { bench, workload };
    return workload;
  }
}

function repeated(span: Span, repeats: number): Span {
  return (pass) => {
    for (let i = 0; i < repeats; i++) span(pass);
  };
}
