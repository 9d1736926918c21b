/** Result files made up from a seed, for tests. No machine measured these numbers. */
import { randomNormal, randomUniform } from "../../src/random.ts";
import type { Measurement, ResultFile } from "../../src/measure/result_file.ts";

/** The distribution of made-up samples. */
export interface NoiseOptions {
  readonly seed: number;
  readonly count: number;
  /** The median without drift, in ns. */
  readonly median: number;
  /** Standard deviation of a sample's logarithm. Default 0.02. */
  readonly sigma?: number;
  /** The relative change from the first sample to the last. Default 0. */
  readonly drift?: number;
  /** The share of samples that an interruption makes up to 3 times as long. Default 0.02. */
  readonly outliers?: number;
  /** Standard deviation of the logarithm of a factor that all samples share. Default 0. */
  readonly runSigma?: number;
}

/** Lognormal samples with drift, interruptions and a factor that all samples share. */
export function noisySamples(options: NoiseOptions): number[] {
  const { seed, count, median, sigma = 0.02, drift = 0, outliers = 0.02, runSigma = 0 } = options;
  const normal = randomNormal({ seed, length: count + 1 });
  const uniform = randomUniform({ seed: seed + 1e9, length: 2 * count });
  const run = Math.exp(runSigma * normal[count]!);
  return Array.from({ length: count }, (_, i) => {
    const interrupted = uniform[2 * i]! < outliers ? 1 + 2 * uniform[2 * i + 1]! : 1;
    const trend = 1 + drift * (count > 1 ? i / (count - 1) : 0);
    return median * run * trend * Math.exp(sigma * normal[i]!) * interrupted;
  });
}

/** A valid measurement by four processes; every field can be replaced. */
export function syntheticMeasurement(fields: Partial<Measurement> = {}): Measurement {
  const measurement = fromOneProcess(fields);
  return fields.processes === undefined ? inProcesses(measurement, 4) : measurement;
}

/** A valid measurement by one process, in the form of older files, which lack `processes`. */
export function fromOneProcess(fields: Partial<Measurement> = {}): Measurement {
  return {
    kernel: "attention",
    pass: "forward",
    shape: { B: 1, Hq: 8, Hkv: 2, T: 512, D: 64 },
    dtype: "f32",
    variant: "portable",
    tuning: {},
    flops: 5.4e8,
    bytes: 2.7e6,
    timer: { kind: "timestamp", quantum: 1 },
    samples: noisySamples({ seed: 1, count: 40, median: 250_000 }),
    ...fields,
  };
}

/** Divides a measurement's samples among this many processes, with at least one sample each. */
export function inProcesses(measurement: Measurement, count: number): Measurement {
  const { samples, throttleSamples = [] } = measurement;
  const processes = Math.min(count, samples.length);
  if (processes === 0) return measurement;
  const part = (length: number, i: number): number =>
    Math.floor((i + 1) * length / processes) - Math.floor(i * length / processes);
  return {
    ...measurement,
    processes: Array.from({ length: processes }, (_, round) => ({
      round,
      samples: part(samples.length, round),
      throttleSamples: part(throttleSamples.length, round),
    })),
  };
}

/** The differences between made-up processes. */
export interface ProcessNoise {
  readonly seed: number;
  /** The number of processes per row. */
  readonly processes: number;
  /** The rows' times in ns. */
  readonly times: readonly number[];
  /** The number of samples per process and row. */
  readonly samples: number;
  /** Standard deviation of the logarithm of a sample within its process. */
  readonly sigma: number;
  /** Standard deviation of the logarithm of the factor by which a process changes one row alone. */
  readonly rowSigma: number;
  /** Standard deviation of the logarithm of the factor by which a process changes all its rows. */
  readonly processSigma: number;
  /** The share of a process's rows that another program slows by 10 to 40 %. Default 0. */
  readonly bursts?: number;
}

/** A file's measurements, by processes that differ as `noise` says. Row i has B = i + 1. */
export function syntheticProcesses(noise: ProcessNoise): Measurement[] {
  const { seed, processes, times, samples, sigma, rowSigma, processSigma, bursts = 0 } = noise;
  const common = randomNormal({ seed, length: processes });
  return times.map((time, row) => {
    const own = randomNormal({ seed: seed + 7919 * (row + 1), length: processes });
    const luck = randomUniform({ seed: seed + 104_729 * (row + 1), length: 2 * processes });
    const values = Array.from({ length: processes }, (_, p) => {
      const burst = luck[2 * p]! < bursts ? 1.1 + 0.3 * luck[2 * p + 1]! : 1;
      const median = time * burst * Math.exp(processSigma * common[p]! + rowSigma * own[p]!);
      return noisySamples({
        ...{ seed: seed + 31 * p + 15_485_863 * (row + 1), count: samples, median, sigma },
      });
    });
    return inProcesses(
      fromOneProcess({ shape: { B: row + 1 }, samples: values.flat() }),
      processes,
    );
  });
}

/** A valid result file; every field can be replaced. */
export function syntheticResultFile(fields: Partial<ResultFile> = {}): ResultFile {
  return {
    schema: "gradsink-results/1",
    suite: { version: "0.1.0", commit: "0123456789abcdef" },
    date: "2026-11-23T20:15:00Z",
    runtime: { name: "deno", version: "2.9.6" },
    host: { os: "linux", arch: "x86_64", cpu: "made up", logicalProcessors: 8 },
    adapter: { backend: "vulkan", vendor: "nobody", description: "made-up GPU", software: false },
    ceilings: {
      f32Fma: { value: 9e12, unit: "flop/s" },
      copyBandwidth: { value: 4e11, unit: "byte/s" },
    },
    settings: { grid: "quick", seed: 1, targetHalfWidth: 0.02 },
    measurements: [syntheticMeasurement()],
    ...fields,
  };
}

/** A result file that uses every field that the schema names. */
export function fullResultFile(): ResultFile {
  const samples = [1000, 1010.5, 990, 1001];
  return syntheticResultFile({
    status: "incomplete",
    label: "desk machine",
    runtime: { name: "dawn", version: "2.9.6", webgpuVersion: "0.6.2", userAgent: "none" },
    host: {
      os: "linux",
      osRelease: "6.1",
      arch: "x86_64",
      cpu: "made up",
      logicalProcessors: 8,
      memoryBytes: 3.2e10,
    },
    adapter: {
      backend: "vulkan",
      vendor: "nobody",
      architecture: "none",
      device: "0x0",
      description: "made-up GPU",
      driver: "1.2.3",
      software: true,
      features: ["timestamp-query"],
      limits: { maxBufferSize: 268435456 },
      subgroupSize: { minimum: 4, maximum: 8 },
    },
    ceilings: {
      f32Fma: {
        value: 9e12,
        unit: "flop/s",
        samples: [8.9e12, 9e12],
        interval: { low: 9e12, high: 9.2e12 },
        remark: "uncertain",
        method: "vec4, 8 chains",
        forms: [{ method: "vec4, 8 chains", value: 9e12 }, { method: "1 chain", value: 2e12 }],
      },
      f16Fma: null,
      copyBandwidth: { value: 4e11, unit: "byte/s", samples: [4e11] },
      expRate: { value: 1e12, unit: "op/s" },
      dispatchOverhead: { value: 19_000, unit: "ns", samples: [19_000] },
      submitAndWait: { value: 11e6, unit: "ns" },
    },
    settings: {
      grid: "quick",
      seed: 7,
      targetHalfWidth: 0.02,
      budgetSeconds: 60,
      maximumSamples: 500,
      processes: 4,
      jointRun: "0123456789abcdef0123456789abcdef",
      arguments: ["--grid", "quick"],
    },
    warnings: ["the clock was changed"],
    measurements: [
      syntheticMeasurement({
        chosen: true,
        tuning: { tile: 64, unrolled: true, order: "row" },
        cache: "cold",
        status: "ok",
        timer: {
          kind: "timestamp",
          quantum: 80,
          nanosecondsPerTick: 1.0006,
          calibrationError: 0.0001,
        },
        samples,
        repeats: 16,
        processes: [
          { round: 0, samples: 3, throttleSamples: 1, repeats: 16 },
          { round: 2, samples: 1, throttleSamples: 1 },
        ],
        rounds: [3, 1],
        sweeps: [0, 0],
        cpuSamples: samples,
        throttleSamples: [500, 505],
        stopReason: "stable",
        correctness: { error: 2e-6, tolerance: 1e-5, output: "queryGradient" },
        warnings: ["noisy"],
      }),
      syntheticMeasurement({
        pass: "backward",
        status: "timed-out",
        reason: "no answer within 30 s",
        samples: [],
      }),
    ],
  });
}
