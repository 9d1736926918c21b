/** An export's tables and index. */
import type { LlamaConfig } from "../../reference/llama/config.ts";
import type { MeasurementSource, SinkMeasurement } from "../../sinks/measurement.ts";
import type { SinkSettings } from "../../sinks/measurement/settings.ts";
import { arrayOf, NORMED } from "./arrays.ts";

/** The version of the index's schema. Another version may have other fields. */
export const EXPORT_SCHEMA = "gradsink-export/1";

/** A column of a table. */
interface Column {
  readonly name: string;
  readonly meaning: string;
}

/** The index of an export. */
export interface ExportIndex {
  readonly schema: typeof EXPORT_SCHEMA;
  readonly source: MeasurementSource | null;
  readonly config: LlamaConfig;
  readonly settings: SinkSettings;
  readonly data: SinkMeasurement["data"];
  readonly note: string;
  readonly arrays: readonly {
    readonly name: string;
    readonly file: string;
    readonly dtype: "float32" | "uint32";
    readonly shape: readonly number[];
    readonly axes: readonly string[];
    readonly layer?: number;
    readonly meaning: string;
  }[];
  readonly tables: readonly { readonly file: string; readonly columns: readonly Column[] }[];
}

/** tokens.csv: one row per token. */
export const TOKEN_COLUMNS: readonly Column[] = [
  { name: "text", meaning: "the number of the text, from 0 on" },
  { name: "position", meaning: "the token's position in the text, from 0 on" },
  { name: "token", meaning: "the token's number in the vocabulary" },
  { name: "target", meaning: "the next token, which the model predicts" },
  { name: "loss", meaning: "−log of the target's probability, in nats" },
];

/** states.csv: one row per token and layer. */
export const STATE_COLUMNS: readonly Column[] = [
  { name: "layer", meaning: "which layer, from 0 on" },
  ...TOKEN_COLUMNS.slice(0, 2),
  ...NORMED.map((name) => ({
    name,
    meaning: `the Euclidean norm, over all heads together, of ${arrayOf(name).meaning}`,
  })),
];

const HEAD_COLUMNS: readonly Column[] = [
  { name: "layer", meaning: "which layer, from 0 on" },
  { name: "head", meaning: "which query head, from 0 on" },
  { name: "score", meaning: "α_s, mean over texts" },
  { name: "sink_rate", meaning: "the share of texts whose own α_s counts as a sink" },
  { name: "mass", meaning: "M_s" },
  { name: "second_moment", meaning: "S_s" },
];

/** The descriptions of the tables. */
export const TABLES: ExportIndex["tables"] = [
  { file: "tokens.csv", columns: TOKEN_COLUMNS },
  { file: "states.csv", columns: STATE_COLUMNS },
  { file: "heads.csv", columns: HEAD_COLUMNS },
];

/** The rows of heads.csv. */
export function headRows({ layers }: SinkMeasurement): {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
} {
  return {
    columns: HEAD_COLUMNS.map(({ name }) => name),
    rows: layers.flatMap(({ layer, attention }) =>
      (attention?.heads ?? []).map(({ head, score, sinkRate, mass, secondMoment }) => [
        layer,
        head,
        score,
        sinkRate ?? "",
        mass,
        secondMoment,
      ])
    ),
  };
}
