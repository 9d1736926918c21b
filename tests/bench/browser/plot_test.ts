import { fileURLToPath } from "node:url";
import { parseHTML } from "linkedom";
import { bundleImports } from "../../../bench/browser/build.ts";
import { assert, assertEquals } from "../../support/assert/assert.ts";
import { testWith } from "../../support/permitted.ts";

const test = testWith("read", "write", "run");

/**
 * The largest allowed distance, in pixels, between a mark's positions in Observable Plot's picture
 * and in that of the page's stand-in. The two libraries round positions of bands differently.
 */
const NEAR = 1.6;

interface Drawn {
  /** Each symbol's position and shape. */
  readonly signs: readonly (readonly [number, number, string])[];
  /** Each bar's left, top, width and height. */
  readonly bars: readonly (readonly number[])[];
  /** All texts, including those of the axes, in alphabetical order. */
  readonly words: readonly string[];
  /** The first point of each curve. */
  readonly curves: readonly (readonly number[])[];
  readonly titles: readonly string[];
}

interface Node {
  readonly tagName: string;
  readonly textContent: string;
  readonly parentNode: Node | null;
  readonly children: readonly Node[];
  getAttribute(name: string): string | null;
}

// How far an element's own transform and those of the groups around it shift the element.
function shift(node: Node | null): [number, number] {
  if (node === null || node.getAttribute === undefined) return [0, 0];
  const [x, y] = shift(node.parentNode);
  const found = /translate\((-?[\d.e-]+)(?:,(-?[\d.e-]+))?\)/.exec(
    node.getAttribute("transform") ?? "",
  );
  return [x + Number(found?.[1] ?? 0), y + Number(found?.[2] ?? 0)];
}

// The bounding box of a path of horizontal and vertical lines, whose corners may be round.
function boxOf(path: string): [number, number, number, number] {
  const xs: number[] = [];
  const ys: number[] = [];
  for (const [, command, rest] of path.matchAll(/([MHVA])([^MHVAZ]*)/g)) {
    const numbers = rest!.trim().split(/[\s,]+/).map(Number);
    if (command === "V") ys.push(numbers[0]!);
    else if (command === "H") xs.push(numbers[0]!);
    else {
      xs.push(numbers.at(-2)!);
      ys.push(numbers.at(-1)!);
    }
  }
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return [left, top, Math.max(...xs) - left, Math.max(...ys) - top];
}

function read(svg: string): Drawn {
  const window = parseHTML(`<!doctype html><html><body>${svg}</body></html>`) as unknown as {
    document: { querySelectorAll(selector: string): Iterable<Node> };
  };
  const all = (selector: string): Node[] => [...window.document.querySelectorAll(selector)];
  const number = (node: Node, name: string): number => Number(node.getAttribute(name) ?? 0);
  const signs: [number, number, string][] = [];
  const curves: number[][] = [];
  const rounded: number[][] = [];
  for (const node of all("circle, path")) {
    const [x, y] = shift(node);
    const path = node.getAttribute("d") ?? "";
    if (node.tagName.toLowerCase() === "circle") {
      signs.push([x + number(node, "cx"), y + number(node, "cy"), "round"]);
    } else if (/translate/.test(node.getAttribute("transform") ?? "") && !/M\s*\d{2,}/.test(path)) {
      const corners = /A/i.test(path) ? "round" : path.replace(/[^MLHVZ]/gi, "").toUpperCase();
      // Leave out shorter paths: they are ticks that Observable Plot draws.
      if (path.length > 12) signs.push([x, y, corners]);
    } else if (/[HV]/.test(path)) {
      rounded.push(boxOf(path).map((size, i) => size + (i === 0 ? x : i === 1 ? y : 0)));
    } else {
      const points = [...path.matchAll(/-?\d+(?:\.\d+)?/g)].map(([text]) => Number(text));
      if (points.length > 3) curves.push([points[0]! + x, points[1]! + y]);
    }
  }
  const order = (a: readonly unknown[], b: readonly unknown[]): number =>
    (a[0] as number) - (b[0] as number) || (a[1] as number) - (b[1] as number);
  return {
    signs: signs.sort(order),
    curves: curves.sort(order),
    bars: rounded.concat(
      all("rect").map((node) => {
        const [x, y] = shift(node);
        return [
          x + number(node, "x"),
          y + number(node, "y"),
          number(node, "width"),
          number(node, "height"),
        ];
      }),
    ).sort(order),
    words: all("text").map(({ textContent }) => textContent.trim()).filter((text) => text !== "")
      .sort(),
    titles: all("title").map(({ textContent }) => textContent).sort(),
  };
}

async function draw(standIn: boolean): Promise<Record<string, Drawn>> {
  const map = await Deno.makeTempFile({ suffix: ".json" });
  try {
    await Deno.writeTextFile(map, JSON.stringify({ imports: bundleImports() }));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-lock", "--allow-read"],
        ...standIn ? ["--no-config", `--import-map=${map}`] : [],
        fileURLToPath(new URL("./plot_child.ts", import.meta.url)),
      ],
      env: { NO_COLOR: "1" },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const pictures = JSON.parse(new TextDecoder().decode(stdout)) as Record<string, string>;
    return Object.fromEntries(Object.entries(pictures).map(([name, svg]) => [name, read(svg)]));
  } finally {
    await Deno.remove(map);
  }
}

function assertNear(
  found: readonly (readonly unknown[])[],
  wanted: readonly (readonly unknown[])[],
  what: string,
) {
  assertEquals(found.length, wanted.length, what);
  // Each mark must have a partner nearby in the other picture. The order of neighbors may differ.
  const left = [...wanted];
  for (const place of found) {
    const partner = left.findIndex((other) =>
      place.every((part, i) =>
        typeof part === "number" ? Math.abs(part - (other[i] as number)) <= NEAR : part === other[i]
      )
    );
    assert(
      partner >= 0,
      `${what}: ${place.join(", ")} is nowhere among ${left.slice(0, 5).join(" | ")} …`,
    );
    left.splice(partner, 1);
  }
}

test("the stand-in draws the same marks and words as Observable Plot, place by place", async () => {
  const [library, standIn] = await Promise.all([draw(false), draw(true)]);
  assertEquals(Object.keys(standIn), Object.keys(library));
  assert(Object.keys(library).length > 15, "there are pictures");
  let signs = 0;
  for (const [name, wanted] of Object.entries(library)) {
    const found = standIn[name]!;
    assertEquals(found.words, wanted.words, `${name}: words`);
    assertEquals(found.titles, wanted.titles, `${name}: titles`);
    assertNear(found.signs, wanted.signs, `${name}: signs`);
    assertNear(found.bars, wanted.bars, `${name}: bars`);
    assertNear(found.curves, wanted.curves, `${name}: curves`);
    signs += wanted.signs.length;
  }
  assert(signs > 100, `${signs} signs were compared`);
});
