/** Measures the boxes of a page: which leave their frame, and which are cut off without a sign. */
import type { Page } from "playwright-core";

/**
 * The checks, as the text of a script that runs in the page. They are a text because this code is
 * compiled without a browser's types. They check that:
 *
 * - The page itself does not scroll sideways.
 * - An element stays within the nearest figure, card, section or part of the page. Only the
 *   content of a scrolling box may be wider.
 * - A picture and its texts stay within the frame around the picture.
 * - A box that scrolls sideways shows this at its edge, and the keyboard reaches it. On a screen of
 *   1280 pixels only folded tables may need to scroll.
 * - Cards in one row of a grid have their tops at the same height.
 *
 * One pixel is allowed for rounding.
 */
const MEASURE = `(() => {
  const problems = [];
  const name = (each) => {
    const text = (each.textContent ?? "").replace(/\\s+/g, " ").trim().slice(0, 50);
    const kind = each.tagName.toLowerCase() + (each.id ? "#" + each.id : "") +
      [...each.classList].map((one) => "." + one).join("");
    const picture = each.closest("svg");
    return kind + " " + JSON.stringify(text) + (picture && picture !== each ? " in " + picture.getAttribute("aria-labelledby") : "");
  };
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    problems.push("the page is " + root.scrollWidth + " pixels wide");
  }
  const look = (each, frame) => {
    const style = getComputedStyle(each);
    if (style.display === "none" || style.visibility === "hidden" || each.matches(".skip, details:not([open]) > :not(summary)")) return;
    const box = each.getBoundingClientRect();
    // Leave out text that is meant for screen readers alone: it stands far outside the page, or is
    // one pixel wide.
    if (box.right < -999 || (style.position === "absolute" && box.width <= 1)) return;
    const limit = frame.getBoundingClientRect();
    const over = Math.max(box.right - limit.right, limit.left - box.left);
    if (over > 1 && box.width > 0) {
      problems.push(name(each) + " runs " + Math.round(over) + " pixels out of " + name(frame).slice(0, 30));
    }
    if (each instanceof SVGSVGElement) {
      for (const text of each.querySelectorAll("text")) {
        const place = text.getBoundingClientRect();
        const out = Math.max(place.right - limit.right, limit.left - place.left);
        if (out > 1 && place.width > 0) {
          problems.push(name(text) + " runs " + Math.round(out) + " pixels out of " + name(frame).slice(0, 30));
        }
      }
      return;
    }
    if (style.display === "grid") {
      const tops = [...each.children].map((child) => child.getBoundingClientRect())
        .filter(({ width, height }) => width > 0 && height > 0).map(({ top }) => top);
      for (const [i, top] of tops.entries()) {
        const step = i > 0 ? Math.abs(top - tops[i - 1]) : 0;
        if (step > 1 && step < 20) {
          problems.push(name(each).slice(0, 60) + ": item " + i + " stands " + Math.round(step) + " pixels off its neighbor");
        }
      }
    }
    if (/auto|scroll/.test(style.overflowX)) {
      if (each.scrollWidth <= each.clientWidth + 1) return;
      if (!/gradient/.test(style.backgroundImage)) {
        problems.push(name(each) + " is cut off at " + each.clientWidth + " of " + each.scrollWidth + " without a sign");
      }
      if (root.clientWidth >= 1280) {
        problems.push(name(each) + " is " + each.scrollWidth + " pixels wide, in " + each.clientWidth);
      }
      if (each.tabIndex < 0 && each.querySelector("a, button") === null) {
        problems.push(name(each) + " cannot be scrolled by keyboard");
      }
      return;
    }
    const inner = each.matches("figure, .card, section, main, header, footer") ? each : frame;
    for (const child of each.children) look(child, inner);
  };
  for (const child of document.body.children) look(child, document.body);
  return problems;
})()`;

/** Finds what does not fit on an open page: a line for each finding. */
export async function layoutProblems(page: Page): Promise<string[]> {
  return await page.evaluate(MEASURE) as string[];
}
