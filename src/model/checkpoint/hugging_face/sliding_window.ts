/** Refuses models with a sliding window that hides keys of the context. */
import type { Family } from "../../pretrained/architecture.ts";
import { CheckpointError } from "../error.ts";
import { shown } from "../json.ts";

/**
 * Refuses a model if its queries do not see all earlier keys of a context. A window as long as the
 * context changes nothing.
 *
 * @param options `family`: decides which fields count; `layers`: the number of layers; `context`:
 *   the longest context that will be used; `path`: for messages
 * @throws {CheckpointError} for a window shorter than the context, layers of other kinds, or
 *   contradictory fields
 */
export function refuseSlidingWindow(
  fields: Readonly<Record<string, unknown>>,
  { family, layers, context, path }: {
    readonly family: Family;
    readonly layers: unknown;
    readonly context: number;
    readonly path: string;
  },
): void {
  const kinds = fields.layer_types ?? null;
  const named = kinds === null ? undefined : layerKinds(kinds, { layers, path });
  const given = fields.sliding_window;
  // Llama has no window unless the file names one.
  const window = (given === undefined && family !== "llama" ? DEFAULT_WINDOW : given) ?? null;
  if (window === null) {
    if (!named?.includes("sliding_attention")) return;
    throw new CheckpointError(
      `${path}: layer_types names sliding_attention, but sliding_window is null`,
    );
  }
  if (named !== undefined && !named.includes("sliding_attention")) return;
  if (family === "qwen2" || family === "qwen3") {
    // Qwen models ignore the window unless this switch is true.
    if (fields.use_sliding_window !== true) return;
    const first = fields.max_window_layers ?? 28; // the family's default
    if (named === undefined && typeof first === "number" && first >= Number(layers)) return;
  }
  if (Number.isSafeInteger(window) && (window as number) >= context) return;
  const meaning = given === undefined ? `, which stands for ${DEFAULT_WINDOW} in ${family}` : "";
  throw new CheckpointError(
    `${path}: sliding_window is ${
      shown(given)
    }${meaning}, wanted at least the context of ${context} ` +
      "tokens or null: windows that leave keys out are not computed",
  );
}

/** The window of Mistral and Qwen models if the file names none. */
const DEFAULT_WINDOW = 4096;

const KINDS = ["full_attention", "sliding_attention"];

function layerKinds(
  kinds: unknown,
  { layers, path }: { readonly layers: unknown; readonly path: string },
): string[] {
  if (!Array.isArray(kinds) || kinds.length !== layers) {
    throw new CheckpointError(
      `${path}: layer_types is ${shown(kinds)}, wanted a list of the ${
        shown(layers)
      } layers' kinds`,
    );
  }
  const other = kinds.find((kind) => !KINDS.includes(kind));
  if (other !== undefined) {
    throw new CheckpointError(
      `${path}: layer_types names ${shown(other)}, wanted ${KINDS.join(" or ")}`,
    );
  }
  return kinds;
}
