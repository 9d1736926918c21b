/** How the matrix product's subgroup kernel reads right from an image (texture) with blocks. */
import { BLOCK, type ImageLayout, PER_TEXEL } from "../image_layout.ts";
import { unroll } from "../unroll.ts";
import {
  COMPONENTS,
  groups,
  type MatmulLoad,
  type RightLoads,
  STEP,
  type Tile,
} from "./subgroup_tile.ts";

// WGSL that reads the texel with the index `texel` in the image's row `row`. The row has `width`
// texels in each block.
function load(numbers: ImageLayout["numbers"], texel: string, row: string): string {
  const width = BLOCK / PER_TEXEL[numbers];
  return `textureLoad(right, vec2u(${texel} % ${width}u, ${row}), ${texel} / ${width}u)`;
}

function noExtra(): never {
  throw new RangeError("a right operand in an image has no extra columns");
}

function rowsOfColumns(width: number): string {
  return unroll(width, (c) => `  let rightRow${c} = min(column${c}, parameters.columns - 1u);`);
}

function rightAlongInner(tile: Tile): RightLoads {
  const { width } = tile;
  return {
    setup: rowsOfColumns(width),
    loads: (step) =>
      `    let texel = k / ${STEP}u;\n` +
      unroll(width, (c) => `    let number${c} = ${load("f32", "texel", `rightRow${c}`)};`) +
      "\n" + groups(tile, step, (c, u) => `number${c}.${COMPONENTS[u]}`),
    extra: noExtra,
  };
}

function rightAlongOuter({ width }: Tile): RightLoads {
  return {
    setup: unroll(width / 4, (v) => `  let rightQuad${v} = column${4 * v} / 4u;`),
    loads: (step) =>
      unroll(step, (u) =>
        unroll(width / 4, (v) => {
          const texel = load("f32", `rightQuad${v}`, `k + ${u}u`);
          return `    let r${v}_${u} = ${texel};`;
        })),
    extra: noExtra,
  };
}

// `words` is WGSL for a vec4u, and each of its words holds two bfloat16 numbers. Returns WGSL for
// the four first numbers, or for the four second numbers, in float32.
function ofPairs(words: string, second: boolean): string {
  return `bitcast<vec4f>(${words} ${second ? "& vec4u(0xffff0000u)" : "<< vec4u(16u)"})`;
}

// A texel holds a column's numbers at eight k: all that one iteration of the loop over K needs.
function pairsAlongInner({ width }: Tile): RightLoads {
  return {
    setup: rowsOfColumns(width),
    turn: `    let texel = first / ${2 * STEP}u;\n` +
      unroll(
        width,
        (c) => `    let pairs${c} = ${load("bf16", "texel", `rightRow${c}`)};`,
      ),
    loads: (step, index) =>
      unroll(width / 4, (v) =>
        unroll(step, (u) => {
          const component = COMPONENTS[2 * index + Math.floor(u / 2)];
          const words = unroll(4, (c) => `pairs${4 * v + c}.${component}`, ", ");
          return `    let r${v}_${u} = ${ofPairs(`vec4u(${words})`, u % 2 === 1)};`;
        })),
    extra: noExtra,
  };
}

// A texel holds the numbers of eight neighboring columns at one k, two in each word. They become
// two vec4f: the first holds columns 0, 2, 4 and 6 of the eight, the second columns 1, 3, 5 and 7.
function pairsAlongOuter({ width }: Tile): RightLoads {
  return {
    setup: unroll(width / 8, (v) => `  let rightEight${v} = column${8 * v} / 8u;`),
    loads: (step) =>
      unroll(step, (u) =>
        unroll(width / 8, (v) => {
          const texel = load("bf16", `rightEight${v}`, `k + ${u}u`);
          return `    let pairs${v}_${u} = ${texel};
    let r${2 * v}_${u} = ${ofPairs(`pairs${v}_${u}`, false)};
    let r${2 * v + 1}_${u} = ${ofPairs(`pairs${v}_${u}`, true)};`;
        })),
    extra: noExtra,
  };
}

export function blockLoads(load: MatmulLoad, tile: Tile): RightLoads {
  if (tile.rightImage?.numbers === "bf16") {
    return load === "along-inner" ? pairsAlongInner(tile) : pairsAlongOuter(tile);
  }
  return load === "along-inner" ? rightAlongInner(tile) : rightAlongOuter(tile);
}
