/** The panel of the theory: sliders, and pictures of the results. */
import { html, type Markup } from "../../../../src/report/html.ts";
import { byId, element } from "../dom.ts";
import { theoryPictures } from "./plot.ts";
import type { TheoryInput, TheoryOutput } from "./model.ts";
import type { TheoryQuestion } from "./worker.ts";
import { setMarkup } from "../trusted.ts";
import { WorkerCalls } from "../worker/calls.ts";

export class TheoryPanel {
  readonly #worker = new WorkerCalls("theory");
  readonly #form = byId("theory-form", HTMLFormElement);
  #gpu = false;
  #seen = false;
  #resting = false;
  #computing = false;
  #dirty = false;
  #spoken: ReturnType<typeof setTimeout> | undefined;

  /** Listens to the sliders; computes nothing before {@linkcode TheoryPanel.start}. */
  constructor() {
    this.#form.addEventListener("input", () => this.#update());
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("reset", () => setTimeout(() => this.#update()));
    this.#showValues();
  }

  /**
   * Draws the first picture only when the panel scrolls into view. Until then no kernel is
   * compiled for the panel.
   */
  start({ gpu }: { readonly gpu: boolean }): void {
    this.#gpu = gpu;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      observer.disconnect();
      this.#seen = true;
      this.#update();
    });
    observer.observe(this.#form);
  }

  /** If `resting`, computes in float64 from now on, so that the GPU is free for measuring. */
  rest(resting: boolean): void {
    this.#resting = resting;
    this.#update();
  }

  // Computes only the latest setting.
  #update(): void {
    this.#showValues();
    if (!this.#seen) return;
    this.#dirty = true;
    if (!this.#computing) void this.#compute();
  }

  async #compute(): Promise<void> {
    this.#computing = true;
    try {
      while (this.#dirty) {
        this.#dirty = false;
        const input = this.#input();
        const question: TheoryQuestion = { input, gpu: this.#gpu && !this.#resting };
        const output = await this.#worker.ask<TheoryOutput>(question);
        if (!this.#dirty) this.#show(input, output);
      }
    } catch (error) {
      byId("theory-text", HTMLParagraphElement).textContent = `No picture: ${
        (error as Error).message
      }`;
    } finally {
      this.#computing = false;
    }
  }

  #input(): TheoryInput {
    const read = (id: string): number => byId(id, HTMLInputElement).valueAsNumber;
    const valve = String(new FormData(this.#form).get("valve"));
    return {
      strength: read("strength"),
      activation: 10 ** read("activation"),
      value: 10 ** read("sink-value"),
      constant: 10 ** read("constant"),
      valve: valve === "full" || valve === "backward-only" ? valve : "none",
    };
  }

  #showValues(): void {
    const { strength, activation, value, constant } = this.#input();
    const show = (id: string, text: string): void => {
      byId(`${id}-value`, HTMLOutputElement).textContent = text;
      byId(id, HTMLInputElement).setAttribute("aria-valuetext", text);
    };
    show("strength", `logits + ${strength.toFixed(1)}`);
    show("activation", times(activation));
    show("sink-value", times(value));
    show("constant", `C = ${number(constant)} ‖v‖²`);
    byId("constant", HTMLInputElement).disabled = this.#input().valve === "none";
  }

  #show(input: TheoryInput, output: TheoryOutput): void {
    setMarkup(byId("theory-pictures", HTMLDivElement), theoryPictures(output));
    setMarkup(byId("theory-figures", HTMLElement), figures(output));
    byId("theory-by", HTMLParagraphElement).textContent = output.by === "gpu"
      ? "Computed by the operators on this GPU."
      : this.#resting
      ? "Computed by the float64 reference, since the GPU is being measured."
      : "Computed by the float64 reference.";
    const text = sentence(input, output);
    byId("theory-text", HTMLParagraphElement).textContent = text;
    // Screen readers speak the result when it has not changed for 1.2 s.
    clearTimeout(this.#spoken);
    this.#spoken = setTimeout(() => {
      byId("theory-spoken", HTMLParagraphElement).replaceChildren(element("span", text));
    }, 1200);
  }
}

function times(factor: number): string {
  return `${number(factor)} × the others`;
}

/** Writes two or three significant digits, with an exponent from 100,000 on and below 0.001. */
export function number(value: number): string {
  if (value === 0) return "0";
  if (value >= 1e5 || value < 1e-3) {
    return value.toExponential(1).replace("e-", "e−").replace("e+", "e");
  }
  return String(Number(value.toPrecision(value >= 100 ? 3 : 2)));
}

/** Token 0's number, divided by the mean of the numbers of the other tokens shown. */
function ratio(values: readonly number[]): number {
  const others = values.slice(1);
  return values[0]! / (others.reduce((sum, each) => sum + each, 0) / others.length);
}

function figures(output: TheoryOutput): Markup {
  const { mass, arriving, passing, hidden, bound } = output;
  const rows: [string, string][] = [
    ["column mass M₀", `${number(mass[0]!)} of 64 rows`],
    ["gradient at the value, ‖∂L/∂v̂₀‖", `${number(arriving[0]!)} (at most ${number(bound)})`],
    ["against the other tokens", times(ratio(arriving))],
    ["the valve lets through", `${number(100 * passing[0]! / arriving[0]!)} %`],
    ["RMSNorm lets through", `${number(100 * hidden[0]! / passing[0]!)} %`],
    ["gradient at the hidden state, ‖∂L/∂h₀‖", number(hidden[0]!)],
    ["against the other tokens", times(ratio(hidden))],
  ];
  return html`${
    rows.map(([name, value]) =>
      html`
        <dt>${name}</dt>
        <dd>${value}</dd>
      `
    )
  }`;
}

function sentence({ valve, activation }: TheoryInput, output: TheoryOutput): string {
  const { mass, arriving, passing, hidden } = output;
  const pressure = ratio(arriving);
  const begin = pressure > 3
    ? `Token 0 takes ${
      number(mass[0]!)
    } of 64 rows of attention, and so the gradient at its value is ` +
      `${number(pressure)} times the others': a gradient sink.`
    : `Token 0 takes ${number(mass[0]!)} of 64 rows of attention; the gradient at its value is ` +
      `${number(pressure)} times the others'.`;
  const through = passing[0]! / arriving[0]!;
  const gate = valve === "none" ? "" : ` The valve lets ${number(100 * through)} % of it through.`;
  const length = activation === 1 ? "as long" : `${number(activation)} times as long`;
  const norm = ` Its hidden state is ${length} as the others', and RMSNorm lets ` +
    `${number(100 * hidden[0]! / passing[0]!)} % of the gradient through. ` +
    `The gradient at its hidden state is ${number(ratio(hidden))} times the others'.`;
  return begin + gate + norm;
}
