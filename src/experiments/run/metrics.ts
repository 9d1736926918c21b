/**
 * A run's metrics: one JSON object per line, appended during the run, so other programs can follow.
 */
import { writeTextFile } from "../../files/write.ts";
import type { SinkMeasurement } from "../../sinks/measurement.ts";
import { RunError } from "./error.ts";

/** A row of losses, written every few steps. */
export interface TrainingRow {
  readonly kind: "training";
  /** The number of steps done. */
  readonly step: number;
  /** The mean over the steps since the previous row, in nats per token. */
  readonly loss: number;
  /** The oracle's mean loss since the previous row (`Task.oracleLoss`); null without an oracle. */
  readonly oracleLoss: number | null;
  /** The norm of all gradients before clipping, in the last step that the row covers. */
  readonly gradientNorm: number;
  /** The learning rate of the last step that the row covers. */
  readonly learningRate: number;
  /**
   * Tokens per second since the previous row. The time excludes measuring and saving. In the first
   * row after a start or resumption it includes compiling the kernels.
   */
  readonly tokensPerSecond: number;
}

export interface MeasurementRow {
  readonly kind: "measurement";
  /** The number of steps done. */
  readonly step: number;
  readonly measurement: SinkMeasurement;
}

/** A line of metrics. */
export type MetricsRow = TrainingRow | MeasurementRow;

/**
 * Reads the rows of a metrics file; none if the file is missing. Skips an unfinished last line,
 * which a killed process leaves.
 *
 * @throws {RunError} if the file cannot be read, or another line is not a row
 */
export async function readMetrics(path: string): Promise<MetricsRow[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new RunError(`${path}: cannot be read: ${(error as Error).message}`);
  }
  const lines = text.split("\n");
  lines.pop(); // What follows the last line feed is empty, or half a line.
  return lines.map((line, i) => {
    const row = parseRow(line);
    if (row === undefined) throw new RunError(`${path}: line ${i + 1} is no row of metrics`);
    return row;
  });
}

function parseRow(line: string): MetricsRow | undefined {
  try {
    const row = JSON.parse(line) as Partial<MetricsRow> | null;
    const known = row?.kind === "training" || row?.kind === "measurement";
    return known && Number.isSafeInteger(row.step) ? row as MetricsRow : undefined;
  } catch {
    return undefined;
  }
}

/** Appends to a run's metrics. */
export class MetricsWriter implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /**
   * Opens a run's metrics, and drops the rows after `step`, because training repeats those steps.
   *
   * @param step the step that training resumes from
   * @throws {RunError} if the file cannot be read
   * @throws {FileError} if it cannot be written
   */
  static async open(
    path: string,
    step: number,
  ): Promise<{ writer: MetricsWriter; rows: MetricsRow[] }> {
    const rows = (await readMetrics(path)).filter((row) => row.step <= step);
    await writeTextFile(path, rows.map((row) => JSON.stringify(row) + "\n").join(""));
    const file = await Deno.open(path, { append: true });
    return { writer: new MetricsWriter(path, file), rows };
  }

  /**
   * Adds a row, whose step is not before the last row's.
   *
   * @throws {RunError} if it cannot be written
   */
  async add(row: MetricsRow): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify(row) + "\n");
    try {
      for (let offset = 0; offset < bytes.length;) {
        offset += await this.#file.write(bytes.subarray(offset));
      }
    } catch (error) {
      const reason = (error as Error).message.replace(/ \(os error \d+\).*/, "");
      throw new RunError(`${this.#path}: cannot be written: ${reason}`);
    }
  }

  /** Waits until all rows are on disk. */
  async flush(): Promise<void> {
    await this.#file.sync();
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}
