/**
 * Exports a measurement's states and gradients, token by token, for other programs: arrays as .npy,
 * tables as CSV, and an index that explains every file.
 *
 * The files go to a temporary folder next to the requested one. Once all files are complete, the
 * temporary folder gets the requested name.
 */
import { basename, dirname, join } from "node:path";
import type { MeasurementObserver } from "../experiments/observer.ts";
import type { TokenBatch } from "../experiments/tasks/task.ts";
import { FileError, fileError } from "../files/file_error.ts";
import { freeBytes } from "../files/free_bytes.ts";
import { npyHeader, type NpyType } from "../files/npy.ts";
import { systemReason } from "../files/system_reason.ts";
import type { LlamaConfig } from "../reference/llama/config.ts";
import type { LayerTrace } from "../reference/llama/trace.ts";
import type { SinkMeasurement } from "../sinks/measurement.ts";
import { type ArrayName, arrayOf, NORMED, tokenNorms } from "./export/arrays.ts";
import {
  EXPORT_SCHEMA,
  type ExportIndex,
  headRows,
  STATE_COLUMNS,
  TABLES,
  TOKEN_COLUMNS,
} from "./export/tables.ts";

export { ARRAY_NAMES, type ArrayName, DEFAULT_ARRAYS } from "./export/arrays.ts";

/** Options of {@linkcode SinkExport}. */
export interface SinkExportOptions {
  readonly config: LlamaConfig;
  /** T */
  readonly context: number;
  /** The number of texts. */
  readonly texts: number;
  /** The number of texts in a batch, a divisor of `texts`. */
  readonly batch: number;
  /** The arrays to write as .npy, in addition to tokens, targets and losses. */
  readonly arrays: readonly ArrayName[];
}

interface OpenArray {
  readonly name: string;
  readonly file: string;
  readonly type: NpyType;
  readonly shape: readonly number[];
  readonly axes: readonly string[];
  readonly layer?: number;
  readonly meaning: string;
}

/** About how many bytes one norm takes in states.csv. */
const TABLE_BYTES = 12;

/**
 * Writes a measurement's states and gradients into a folder.
 *
 * @example
 * ```ts
 * import { SinkExport } from "./export.ts";
 *
 * const folder = await Deno.makeTempDir();
 * const { config } = JSON.parse(await Deno.readTextFile("fixtures/pretrained/smollm2.json"));
 * {
 *   await using files = await SinkExport.open(`${folder}/states`, {
 *     config,
 *     context: 256,
 *     texts: 20,
 *     batch: 4,
 *     arrays: ["output"],
 *   });
 *   // measurePretrained(gpu, { observer: files, … }), then files.finish(measurement).
 * }
 * console.log(Array.from(Deno.readDirSync(folder)).length); // 0: nothing half written is left
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export class SinkExport implements MeasurementObserver, AsyncDisposable {
  readonly #folder: string;
  readonly #temporary: string;
  readonly #options: SinkExportOptions;
  readonly #arrays: OpenArray[] = [];
  #batch = -1;
  #finished = false;

  private constructor(folder: string, temporary: string, options: SinkExportOptions) {
    this.#folder = folder;
    this.#temporary = temporary;
    this.#options = options;
  }

  /**
   * Creates the files.
   *
   * @param folder a new name or an empty folder
   * @throws {FileError} if the name is taken by anything but an empty folder, the folder cannot be
   *   created, or the disk has too little room
   */
  static async open(folder: string, options: SinkExportOptions): Promise<SinkExport> {
    await checkExportFolder(folder);
    const temporary = join(
      dirname(folder),
      `.${basename(folder).slice(0, 100)}.${crypto.randomUUID().slice(0, 8)}.tmp`,
    );
    const files = new SinkExport(folder, temporary, options);
    try {
      await Deno.mkdir(temporary);
      await files.#create();
    } catch (error) {
      await files[Symbol.asyncDispose]();
      throw error instanceof FileError
        ? error
        : fileError(folder, `cannot be written: ${systemReason(error)}`);
    }
    return files;
  }

  async #create(): Promise<void> {
    const { config, context, texts, arrays } = this.#options;
    for (const [name, meaning] of Object.entries(TOKEN_ARRAYS)) {
      await this.#start({
        name,
        file: `${name}.npy`,
        type: name === "losses" ? "<f4" : "<u4",
        shape: [texts, context],
        axes: ["text", "position"],
        meaning,
      });
    }
    for (const name of arrays) {
      const { meaning, axes, shape, attention } = arrayOf(name);
      for (let layer = 0; layer < config.layers; layer++) {
        if (config.layersWithoutAttention.includes(layer) && attention) continue;
        await this.#start({
          name,
          file: `${name}_${String(layer).padStart(2, "0")}.npy`,
          type: "<f4",
          shape: [texts, ...shape(config, context)],
          axes,
          layer,
          meaning,
        });
      }
    }
    const wanted = this.#arrays
      .reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b), 0) +
      TABLE_BYTES * NORMED.length * config.layers * texts * context;
    const free = await freeBytes(this.#temporary);
    if (free !== undefined && free < wanted) {
      const size = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
      throw fileError(
        this.#folder,
        `the disk has room for ${size(free)}, wanted ${size(wanted)}: name fewer --arrays`,
      );
    }
    await this.#append("tokens.csv", line(TOKEN_COLUMNS.map(({ name }) => name)));
    await this.#append("states.csv", line(STATE_COLUMNS.map(({ name }) => name)));
  }

  async onBatch({ inputs, targets }: TokenBatch, losses: ArrayLike<number>): Promise<void> {
    const { context, batch } = this.#options;
    this.#batch++;
    await this.#append("tokens.npy", Uint32Array.from(inputs));
    await this.#append("targets.npy", Uint32Array.from(targets));
    await this.#append("losses.npy", Float32Array.from(losses));
    const rows = Array.from(inputs, (token, i) =>
      line([
        this.#batch * batch + Math.floor(i / context),
        i % context,
        token,
        targets[i]!,
        digits(losses[i]!),
      ]));
    await this.#append("tokens.csv", rows.join(""));
  }

  async onLayer(layer: number, states: LayerTrace<Float32Array>): Promise<void> {
    const { config, context, batch, texts, arrays } = this.#options;
    // The traced gradients are those of the mean loss over the batch. Multiplied by `share`, they
    // are those of the mean loss over all texts.
    const share = batch / texts;
    const scaled = (name: ArrayName) => {
      const { read, gradient } = arrayOf(name);
      const values = read(states);
      return gradient ? values?.map((value) => share * value) : values;
    };
    for (const name of arrays) {
      const values = scaled(name);
      if (values === undefined) continue;
      await this.#append(
        `${name}_${String(layer).padStart(2, "0")}.npy`,
        Float32Array.from(values),
      );
    }
    const norms = NORMED.map((name) => {
      const values = scaled(name);
      const { axes, shape } = arrayOf(name);
      const heads = axes.length === 4 ? shape(config, context)[0]! : 1;
      return values && tokenNorms(values, { batch, context, heads });
    });
    const rows = Array.from({ length: batch * context }, (_, i) =>
      line([
        layer,
        this.#batch * batch + Math.floor(i / context),
        i % context,
        ...norms.map((norm) => norm === undefined ? "" : digits(norm[i]!)),
      ]));
    await this.#append("states.csv", rows.join(""));
  }

  /**
   * Writes the table of heads and the index, and gives the temporary folder the requested name.
   *
   * @param measurement the measurement of the same texts
   * @throws {FileError} if a file cannot be written
   */
  async finish(measurement: SinkMeasurement): Promise<void> {
    const { columns, rows } = headRows(measurement);
    await this.#append("heads.csv", [columns, ...rows].map(line).join(""));
    const index: ExportIndex = {
      schema: EXPORT_SCHEMA,
      source: measurement.source,
      config: measurement.config,
      settings: measurement.settings,
      data: measurement.data,
      note: "Gradients are those of the mean loss over all texts, in nats per token.",
      arrays: this.#arrays.map(({ type, ...array }) => ({
        ...array,
        dtype: type === "<f4" ? "float32" : "uint32",
      })),
      tables: TABLES,
    };
    await this.#append("index.json", `${JSON.stringify(index, null, 1)}\n`);
    try {
      for await (const { name } of Deno.readDir(this.#temporary)) {
        using file = await Deno.open(join(this.#temporary, name));
        await file.sync();
      }
      // An empty folder may have this name.
      await Deno.remove(this.#folder).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
      await Deno.rename(this.#temporary, this.#folder);
    } catch (error) {
      throw fileError(this.#folder, `cannot be written: ${systemReason(error)}`);
    }
    this.#finished = true;
  }

  /** Removes an unfinished export. */
  [Symbol.asyncDispose](): Promise<void> {
    this.discard();
    return Promise.resolve();
  }

  /** Removes an unfinished export synchronously: an exiting process does not wait for promises. */
  discard(): void {
    if (this.#finished) return;
    try {
      Deno.removeSync(this.#temporary, { recursive: true });
    } catch {
      // It may be gone.
    }
  }

  async #start(array: OpenArray): Promise<void> {
    this.#arrays.push(array);
    await this.#append(array.file, npyHeader(array.type, array.shape));
  }

  async #append(name: string, content: string | ArrayBufferView<ArrayBuffer>): Promise<void> {
    const bytes = typeof content === "string"
      ? new TextEncoder().encode(content)
      : new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
    try {
      await Deno.writeFile(join(this.#temporary, name), bytes, { append: true });
    } catch (error) {
      throw fileError(this.#folder, `cannot be written: ${systemReason(error)}`);
    }
  }
}

const TOKEN_ARRAYS = {
  tokens: "the tokens",
  targets: "the next tokens, whose prediction the losses measure",
  losses: "−log of the target's probability, in nats",
};

/**
 * Checks, before a long measurement, that its export can be written.
 *
 * @throws {FileError} if the name is taken by anything but an empty folder, or the folder cannot be
 *   read or created
 */
export async function checkExportFolder(folder: string): Promise<void> {
  try {
    for await (const { name } of Deno.readDir(folder)) {
      throw fileError(
        folder,
        `is there and holds ${JSON.stringify(name)}, wanted a new or an empty folder`,
      );
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotADirectory) {
      throw fileError(folder, "is not a folder, wanted a new or an empty one");
    }
    if (error instanceof FileError) throw error;
    if (!(error instanceof Deno.errors.NotFound)) {
      throw fileError(folder, `cannot be read: ${systemReason(error)}`);
    }
  }
  const probe = join(dirname(folder), `.${crypto.randomUUID()}.tmp`);
  try {
    await Deno.mkdir(dirname(folder), { recursive: true });
    await Deno.mkdir(probe);
    await Deno.remove(probe);
  } catch (error) {
    throw fileError(folder, `cannot be written: ${systemReason(error)}`);
  }
}

function line(cells: readonly (string | number)[]): string {
  return `${cells.join(",")}\n`;
}

/** Writes eight significant digits, about as many as float32 holds. */
function digits(value: number): string {
  return String(Number(value.toPrecision(8)));
}
