/** Divides rows into tiles, for RMSNorm's kernels. */
import { BANKS, type RowTile } from "../../../kernels/rows/tile.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { RowShape } from "./parts.ts";
import { unfitForSubgroups, unfitForSubgroupSize } from "../shared/unfit.ts";

/** Rows divided into tiles, each computed by one workgroup. */
export interface RowTiles {
  readonly tile: RowTile;
  /** The rows of all tiles together. If d is not a multiple of 4, up to 3 rows are left over. */
  readonly rows: number;
  readonly rowsPerTile: number;
  readonly tiles: number;
}

/**
 * How many positions a lane owns at once; kernels/rows/tile.ts explains positions. With more
 * positions, the loop's code would exceed a core's cache of decoded instructions.
 */
const WIDTH = 2;

/**
 * A tile has at most 1 / LEAST_TILES of the groups of rows, rounded up. So a CPU's cores all get
 * tiles, even if only the few rows of such a tile then share each load of the gain.
 */
const LEAST_TILES = 16;

/** The least number of rows of d numbers that fill whole vectors of 4 numbers. */
function phasesOf(columns: number): number {
  return columns % 4 === 0 ? 1 : columns % 2 === 0 ? 2 : 4;
}

/**
 * Divides rows into tiles.
 *
 * @param gpu an adapter with subgroups of one size
 */
export function divideIntoTiles(gpu: Gpu, { rows, columns }: RowShape): RowTiles {
  const lanes = gpu.info.subgroupSize!.minimum;
  const phases = phasesOf(columns);
  const groups = Math.floor(rows / phases);
  const groupsPerTile = Math.min(BANKS / phases * lanes, Math.ceil(groups / LEAST_TILES));
  return {
    tile: { lanes, phases, width: WIDTH },
    rows: groups * phases,
    rowsPerTile: groupsPerTile * phases,
    tiles: Math.ceil(groups / groupsPerTile),
  };
}

/** Why rows cannot be computed in tiles; undefined if they can. */
export function unfitForTiles(gpu: Gpu, { rows, columns }: RowShape): string | undefined {
  const without = unfitForSubgroups(gpu) ?? unfitForSubgroupSize(gpu);
  if (without !== undefined) return without;
  if (columns < 4) return `a row has ${columns} numbers, it needs 4`;
  const phases = phasesOf(columns);
  if (rows < phases) return `there are ${rows} rows of ${columns} numbers, it needs ${phases}`;
  const { tiles } = divideIntoTiles(gpu, { rows, columns });
  const most = gpu.device.limits.maxComputeWorkgroupsPerDimension;
  return tiles <= most ? undefined : `it needs ${tiles} workgroups, this adapter runs ${most}`;
}

/**
 * Whether tiles are a good choice: on CPU adapters with at least eight lanes per subgroup, if there
 * are enough rows. CPU adapters with fewer lanes, such as SwiftShader, are faster with one
 * invocation per row. The lists of variants name `subgroup` before `tile`, so most rows that fit
 * the registers of a subgroup are computed by `subgroup`.
 */
export function suitsTiles(gpu: Gpu, { rows, columns }: RowShape): boolean {
  const { software, subgroupSize } = gpu.info;
  return software && (subgroupSize?.minimum ?? 0) >= 8 && rows >= 8 * phasesOf(columns);
}
