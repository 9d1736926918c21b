/**
 * Copies an operand to workgroup memory for the tiled kernel of the matrix product: as vec4f of
 * four rows of left, or columns of right, at one k. If all reads come before all writes, many reads
 * are in flight at once.
 */
import { unroll } from "../unroll.ts";
import { COMPONENTS, type MatmulLoad } from "./subgroup_tile.ts";

/** One operand of the kernel. */
export interface TiledOperand {
  readonly name: "left" | "right";
  readonly load: MatmulLoad;
  /** Groups of four rows or columns in the tile. */
  readonly quads: number;
  /** The number of k per step. */
  readonly step: number;
  readonly invocations: number;
  /** The first invocation that reads, if not all of them do. */
  readonly firstReader: number;
  /** Whether all reads come before all writes, which is faster but needs more registers. */
  readonly readsFirst: boolean;
  /** Whether the kernel may multiply numbers whose k is past the end. */
  readonly multipliesAll: boolean;
  /** Whether K is a multiple of the step, so no k is past the end. */
  readonly wholeSteps: boolean;
}

export interface TiledLoads {
  /** Before the steps: the places that each invocation reads from and writes to. */
  readonly setup: string;
  /** Reads the numbers of one step, which begins at k = `first`. */
  readonly read: string;
  /** Writes these numbers to workgroup memory. If `read` is empty, reads them first. */
  readonly write: string;
  /** How many invocations read, if not all of them do; else 0. */
  readonly readers: number;
}

export function tiledLoads(operand: TiledOperand): TiledLoads {
  switch (operand.load) {
    case "scalar":
      return scalars(operand);
    case "along-outer":
      return alongOuter(operand);
    case "along-inner":
      return alongInner(operand);
  }
}

function names({ name }: TiledOperand) {
  const side = name === "left" ? "Row" : "Column";
  return {
    line: name === "left" ? "row" : "column",
    lines: `parameters.${name === "left" ? "rows" : "columns"}`,
    outer: `parameters.${name}${side}`,
    inner: `parameters.${name}Inner`,
    batch: `tile.batch * parameters.${name}Batch`,
    tile: `${name}Tile`,
  };
}

// WGSL for the loaded numbers. If the kernel may multiply numbers whose k is past the end, the WGSL
// replaces those by zeros, in both operands.
function orZero(operand: TiledOperand, numbers: string, k: string): string {
  return operand.wholeSteps || !operand.multipliesAll
    ? `InTile(${numbers})`
    : `InTile(select(vec4f(), ${numbers}, first + ${k} < parameters.inner))`;
}

// WGSL for the index `first` + k. If that can be past the end, the WGSL takes the last index of K
// instead, so no address is out of range.
function atMost(operand: TiledOperand, k: string): string {
  return operand.wholeSteps ? `(first + ${k})` : `min(first + ${k}, parameters.inner - 1u)`;
}

// If `readsFirst` is false, registers are short. So every step computes its memory addresses again
// instead of keeping them from step to step.
function placed({ readsFirst }: TiledOperand, places: string): string {
  return readsFirst ? "" : `${places}\n`;
}

// Neighboring invocations read numbers that are neighbors in memory.
function scalars(operand: TiledOperand): TiledLoads {
  const { name, quads, step, invocations } = operand;
  const { line, lines, outer, inner, batch, tile } = names(operand);
  const units = quads * step / invocations;
  const places = `  let ${name}AlongInner = ${inner} == 1u;
` + unroll(units, (n) => {
    const unit = `(index + ${n * invocations}u)`;
    return `  let ${name}Quad${n} = select(${unit} % ${quads}u, ${unit} / ${step}u, ${name}AlongInner);
  let ${name}K${n} = select(${unit} / ${quads}u, ${unit} % ${step}u, ${name}AlongInner);
  let ${name}Lines${n} = ${batch} +
    min(tile.${line} + 4u * ${name}Quad${n} + FOUR, vec4u(${lines} - 1u)) * ${outer};`;
  });
  return {
    readers: 0,
    setup: operand.readsFirst ? places : "",
    read: placed(operand, places) + unroll(
      units,
      (n) =>
        `    let ${name}Places${n} = ${name}Lines${n} + ${
          atMost(operand, `${name}K${n}`)
        } * ${inner};
    let ${name}Numbers${n} = vec4f(${
          unroll(4, (c) => `${name}[${name}Places${n}.${COMPONENTS[c]}]`, ", ")
        });`,
    ),
    write: unroll(
      units,
      (n) =>
        `    ${tile}[${name}K${n} / 4u][${name}K${n} % 4u][${name}Quad${n}] = ${
          orZero(operand, `${name}Numbers${n}`, `${name}K${n}`)
        };`,
    ),
  };
}

function alongOuter(operand: TiledOperand): TiledLoads {
  const { name, quads, step, invocations } = operand;
  const { line, lines, inner, batch, tile } = names(operand);
  const units = quads * step / invocations;
  const places = unroll(units, (n) => {
    const unit = `(index + ${n * invocations}u)`;
    return `  let ${name}Quad${n} = ${unit} % ${quads}u;
  let ${name}K${n} = ${unit} / ${quads}u;
  let ${name}Start${n} = ${batch} + min(tile.${line} / 4u + ${name}Quad${n}, ${lines} / 4u - 1u);`;
  });
  return {
    readers: 0,
    setup: operand.readsFirst ? places : "",
    read: placed(operand, places) + unroll(
      units,
      (n) =>
        `    let ${name}Numbers${n} = ${name}[${name}Start${n} + ${
          atMost(operand, `${name}K${n}`)
        } * ${inner}];`,
    ),
    write: unroll(
      units,
      (n) =>
        `    ${tile}[${name}K${n} / 4u][${name}K${n} % 4u][${name}Quad${n}] = ${
          orZero(operand, `${name}Numbers${n}`, `${name}K${n}`)
        };`,
    ),
  };
}

// The block that an invocation copies: its group (four neighboring k) and its quad (four
// neighboring rows or columns). Eight neighboring invocations copy four neighboring quads of two
// groups, so they write to different memory banks.
function blockOf(unit: string, groups: number): { readonly group: string; readonly quad: string } {
  if (groups === 2) return { group: `${unit} % 2u`, quad: `${unit} / 2u` };
  return {
    group: `(${unit} & 1u) | ((${unit} >> 2u) & 2u)`,
    quad: `((${unit} >> 1u) & 3u) | ((${unit} >> 4u) << 2u)`,
  };
}

// Copies blocks of four k in four rows or columns; the invocation that reads a block transposes it.
function alongInner(operand: TiledOperand): TiledLoads {
  const { name, quads, step, invocations, firstReader } = operand;
  const { line, lines, outer, batch, tile } = names(operand);
  const groups = step / 4;
  const blocks = quads * groups;
  const readers = blocks < invocations ? blocks : 0;
  const units = Math.max(1, blocks / invocations);
  const guarded = (statements: string) =>
    readers === 0 ? statements : `    if (${name}Reads) {\n${statements}\n    }`;
  const at = operand.wholeSteps
    ? (n: number) => `first / 4u + ${name}Group${n}`
    : (n: number) => `min(first / 4u + ${name}Group${n}, parameters.inner / 4u - 1u)`;
  const linesOf = (n: number) =>
    `  let ${name}Lines${n} = ${batch} +
    min(tile.${line} + 4u * ${name}Quad${n} + FOUR, vec4u(${lines} - 1u)) * ${outer};`;
  const numbers = (n: number, kind: "let" | "") =>
    `    let ${name}At${n} = ${at(n)};\n` +
    unroll(4, (j) =>
      `    ${kind} ${name}${n}_${j} = ${name}[${name}Lines${n}.${COMPONENTS[j]} + ${name}At${n}];`);
  const stores = unroll(units, (n) =>
    unroll(4, (i) => {
      const ofK = unroll(4, (j) => `${name}${n}_${j}.${COMPONENTS[i]}`, ", ");
      return `    ${tile}[${name}Group${n}][${i}][${name}Quad${n}] = ${
        orZero(operand, `vec4f(${ofK})`, `4u * ${name}Group${n}`)
      };`;
    }));
  return {
    readers,
    setup:
      (readers === 0
        ? ""
        : `  let ${name}Reads = index >= ${firstReader}u && index < ${firstReader + readers}u;\n`) +
      unroll(units, (n) => {
        const first = n * invocations - firstReader;
        const unit = `(index ${first < 0 ? "-" : "+"} ${Math.abs(first)}u)`;
        const { group, quad } = blockOf(unit, groups);
        return `  let ${name}Group${n} = ${group};
  let ${name}Quad${n} = ${quad};
${operand.readsFirst ? linesOf(n) : ""}`;
      }),
    ...operand.readsFirst
      ? {
        read: unroll(units, (n) => unroll(4, (j) => `    var ${name}${n}_${j} = vec4f();`)) + "\n" +
          guarded(unroll(units, (n) => numbers(n, ""))),
        write: guarded(stores),
      }
      : {
        read: "",
        write: guarded(
          unroll(units, (n) => `${linesOf(n)}\n${numbers(n, "let")}`) + "\n" + stores,
        ),
      },
  };
}
