/**
 * A model's parameters in a few large tensors, so that the optimizer needs a few dispatches instead
 * of one per parameter, and kernels read several matrices as one.
 */
import type { Tensor } from "../gpu/tensor.ts";
import type { LlamaConfig } from "../reference/llama/config.ts";
import {
  layerParameterNames,
  listParameters,
  type Parameter,
  parameterLength,
} from "../reference/llama/parameters.ts";
import type { Workspace } from "./workspace.ts";

/**
 * Parameters that one kernel reads as one matrix: attention's three projections, or SwiGLU's two.
 * Any other parameter forms a unit by itself.
 */
interface Unit {
  readonly parameters: Parameter[];
  /** The index in the pack of the unit's first element. */
  readonly start: number;
}

/** Units stored contiguously in one tensor. */
interface Pack {
  readonly decayed: boolean;
  readonly units: Unit[];
  length: number;
}

/** A number for each element of a model's parameters: its value, gradient or one of its moments. */
export interface PackedTensors {
  /** The tensors of the packs, and whether weight decay applies to each. */
  readonly packs: readonly { readonly decayed: boolean; readonly tensor: Tensor }[];
  /** A view of each parameter by name, for reading and writing. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** A view of each unit, its matrices stacked, by the name of the unit's first parameter. */
  readonly units: ReadonlyMap<string, Tensor>;
}

/** Units begin at multiples of this many elements: 256 bytes, at which every adapter can bind. */
const ALIGNMENT = 64;

function unitsOf(config: LlamaConfig): Parameter[][] {
  const joined = new Map<string, string>();
  for (let layer = 0; layer < config.layers; layer++) {
    const names = layerParameterNames(layer);
    joined.set(names.key, names.query).set(names.value, names.query).set(names.up, names.gate);
  }
  const units = new Map<string, Parameter[]>();
  for (const parameter of listParameters(config)) {
    const first = joined.get(parameter.name) ?? parameter.name;
    units.set(first, [...units.get(first) ?? [], parameter]);
  }
  return [...units.values()];
}

function packsOf(config: LlamaConfig, limit: number): Pack[] {
  const packs: Pack[] = [];
  for (const parameters of unitsOf(config)) {
    const { decayed } = parameters[0]!;
    const length = parameters.reduce((sum, parameter) => sum + parameterLength(parameter), 0);
    let pack = packs.findLast((pack) => pack.decayed === decayed);
    let start = pack === undefined ? 0 : ALIGNMENT * Math.ceil(pack.length / ALIGNMENT);
    if (pack === undefined || start + length > limit) {
      pack = { decayed, units: [], length: 0 };
      packs.push(pack);
      start = 0;
    }
    pack.units.push({ parameters, start });
    pack.length = start + length;
  }
  return packs;
}

/**
 * Allocates packs for all parameters of a model. All elements are zero.
 *
 * @param workspace owns the tensors
 * @throws {RangeError} if a matrix is larger than the adapter allows
 */
export function packTensors(workspace: Workspace, config: LlamaConfig): PackedTensors {
  const { gpu } = workspace;
  const packs = [];
  const parameters = new Map<string, Tensor>();
  const units = new Map<string, Tensor>();
  for (
    const { decayed, units: own, length } of packsOf(config, Math.floor(gpu.largestStorage / 4))
  ) {
    // New buffers are zero, and the gaps between units stay zero.
    const tensor = workspace.keep(gpu.empty([length]));
    packs.push({ decayed, tensor });
    for (const { parameters: members, start } of own) {
      let end = start;
      for (const { name, shape } of members) {
        const part = tensor.slice(end, shape);
        parameters.set(name, part);
        end += part.length;
      }
      const [{ name, shape }] = members as [Parameter];
      const rows = members.reduce((sum, member) => sum + member.shape[0]!, 0);
      units.set(name, tensor.slice(start, [rows, ...shape.slice(1)]));
    }
  }
  const names = listParameters(config).map(({ name }) => name);
  return { packs, units, parameters: new Map(names.map((name) => [name, parameters.get(name)!])) };
}

/**
 * The number of elements that {@linkcode packTensors} allocates, including gaps, as long as each
 * pack fits one buffer.
 */
export function packedLength(config: LlamaConfig): number {
  return packsOf(config, Infinity).reduce((sum, { length }) => sum + length, 0);
}
