/** The page's entry point: puts its parts together. */
import { adapterText } from "./adapter_block.ts";
import { ComparePanel } from "./compare/panel.ts";
import { announce, button, byId, copyText, element, messageOf } from "./dom.ts";
import { lookAtAdapter, MeasurePanel } from "./measure/panel.ts";
import {
  buildForm,
  formSelection,
  readSelection,
  showSelection,
  writeSelection,
} from "./selection.ts";
import { TheoryPanel } from "./theory/panel.ts";

/** Keeps the form and the address in agreement, so that a link repeats a run. */
function linkForm(form: HTMLFormElement): void {
  const read = (): void => {
    const { selection, problems } = readSelection(new URLSearchParams(location.search));
    showSelection(form, selection);
    const list = byId("address-problems", HTMLUListElement);
    list.replaceChildren(...problems.map((problem) => element("li", `In the address, ${problem}`)));
  };
  buildForm();
  read();
  addEventListener("popstate", read);
  form.addEventListener("change", () => {
    const named = byId("grid", HTMLSelectElement).value === "named";
    const details = byId("named-shapes", HTMLDetailsElement);
    if (named && details.hidden) details.open = true;
    details.hidden = !named;
    const selection = formSelection(form);
    if (typeof selection === "string") return; // reported when the user runs it
    const parameters = writeSelection(selection).toString();
    history.replaceState(
      null,
      "",
      `${location.pathname}${parameters && `?${parameters}`}${location.hash}`,
    );
    byId("address-problems", HTMLUListElement).replaceChildren();
  });
  button("copy-link").addEventListener(
    "click",
    () => void copyText(button("copy-link"), location.href),
  );
}

/** Explains what to do if WebGPU is missing or does not work. */
function explainMissing(reason: string): void {
  byId("no-webgpu", HTMLElement).hidden = false;
  byId("no-webgpu-reason", HTMLParagraphElement).textContent = reason;
  byId("insecure", HTMLParagraphElement).hidden = isSecureContext;
  byId("gpu", HTMLElement).hidden = true;
  byId("selection-fields", HTMLFieldSetElement).disabled = true;
  announce("This browser offers no usable GPU; you can still compare result files", {
    trouble: true,
  });
}

async function showAdapter(theory: TheoryPanel): Promise<void> {
  if (!("gpu" in navigator) || navigator.gpu === undefined) {
    theory.start({ gpu: false });
    return explainMissing("This browser does not support WebGPU (navigator.gpu is missing).");
  }
  try {
    const opened = await lookAtAdapter();
    byId("adapter-text", HTMLPreElement).replaceChildren(
      ...adapterText(opened).split("\n").map((line) => element("span", `${line}\n`)),
    );
    const copy = button("copy-adapter");
    copy.addEventListener("click", () => void copyText(copy, adapterText(opened)));
    copy.disabled = false;
    button("run").disabled = false;
    byId("software-note", HTMLParagraphElement).hidden = !opened.info.software;
    theory.start({ gpu: true });
  } catch (error) {
    theory.start({ gpu: false });
    explainMissing(messageOf(error));
  }
}

linkForm(byId("selection", HTMLFormElement));
const compare = new ComparePanel();
const theory = new TheoryPanel();
new MeasurePanel({ compare, busy: (busy) => theory.rest(busy) });
void showAdapter(theory);
