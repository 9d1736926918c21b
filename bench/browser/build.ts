/** Makes the page's static files in bench/browser/dist. */
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { readdir } from "node:fs/promises";
import config from "../../deno.json" with { type: "json" };
import { describeSuite } from "../../src/cli/shared/machine.ts";
import { escapeHtml } from "../../src/escape.ts";
import { withoutComments } from "../../src/gpu/without_comments.ts";
import { parseResultFile } from "../../src/measure/result_file/parse.ts";
import { adapterName, type NamedResult } from "../../src/measure/comparison/machine.ts";
import { renderGallery } from "../../src/report/gallery.ts";
import { PAGE_STYLE } from "../../src/report/page_style.ts";
import { thisDeno } from "../../src/processes.ts";

const root = new URL("../../", import.meta.url);

/** The built page. */
export const distribution = new URL("bench/browser/dist/", root);

/**
 * The content security policy of the page's `meta` element and of the server's answers. It allows
 * only scripts, styles, images, fetched files and Workers from the page's origin, and markup that
 * goes through the Trusted Types policy `gradsink`.
 */
export const contentPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types gradsink",
].join("; ");

/** Options of the build. */
export interface BuildOptions {
  /** The output folder, which is replaced as a whole. Default {@linkcode distribution}. */
  readonly folder?: URL;
}

/**
 * Builds the page. The previous build stays until the new one is complete.
 *
 * @throws {Error} if the bundler fails, with its message
 */
export async function buildPage({ folder = distribution }: BuildOptions = {}): Promise<void> {
  const target = resolve(fileURLToPath(folder));
  await Deno.mkdir(dirname(target), { recursive: true });
  const made = await Deno.makeTempDir({
    dir: dirname(target),
    prefix: ".page-",
    suffix: ".tmp",
  });
  try {
    await bundle(made);
    await copyRest(made);
    await Deno.remove(target, { recursive: true }).catch((error: unknown) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await Deno.rename(made, target);
  } catch (error) {
    await Deno.remove(made, { recursive: true }).catch(() => {}); // the first error counts
    throw error;
  }
}

/**
 * The page's import map. It replaces Observable Plot by a small drawing library, and takes all
 * other packages from deno.json.
 */
export function bundleImports(): Record<string, string> {
  // An import map needs two entries per package: one for the package, one for its modules.
  const packages = Object.entries(config.imports).flatMap(([name, address]) => [
    [name, address],
    [`${name}/`, `${address.replace(":", ":/")}/`],
  ]);
  const drawer = new URL("bench/browser/plot/plot.ts", root).href;
  return { ...Object.fromEntries(packages), "@observablehq/plot": drawer };
}

async function bundle(folder: string): Promise<void> {
  const settings = `${folder}/imports.json`;
  await Deno.writeTextFile(settings, JSON.stringify({ imports: bundleImports() }));
  const entries = ["page.ts", "worker.ts"].map((name) =>
    fileURLToPath(new URL(`bench/browser/page/${name}`, root))
  );
  const { success, stderr } = await new Deno.Command(thisDeno(), {
    args: [
      ...["bundle", "--quiet", "--platform=browser", "--minify", "--code-splitting"],
      "--no-config",
      `--import-map=${settings}`,
      `--outdir=${folder}`,
      ...entries,
    ],
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  await Deno.remove(settings);
  if (success) await shortenKernels(folder);
  if (!success) throw new Error(`page: the bundler failed: ${new TextDecoder().decode(stderr)}`);
}

// Removes the kernels' comments but not their line breaks, so that error messages still name the
// right line.
async function shortenKernels(folder: string): Promise<void> {
  const literals = new Map<string, string>();
  const kernels = new URL("kernels/", root);
  for (const name of await readdir(kernels, { recursive: true })) {
    if (!name.endsWith(".wgsl")) continue;
    const source = await Deno.readTextFile(new URL(name, kernels));
    const short = withoutComments(source);
    // The bundler writes a kernel as a string or as a template, so replace both forms.
    for (const write of [JSON.stringify, templateLiteral]) {
      literals.set(write(source), write(short));
    }
  }
  for await (const { name } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    const script = await Deno.readTextFile(path);
    let shorter = script;
    for (const [long, short] of literals) shorter = shorter.replaceAll(long, () => short);
    // WGSL in templates with expressions is not in `literals`: remove its comments and indentation
    // here. Outside templates nothing matches, because a minified script has no comments or
    // indentation, and a string literal has no line break.
    shorter = shorter.replaceAll(/ *\/\/ [^\n`"]*(?=\n)/g, "").replaceAll(/\n +/g, "\n");
    if (shorter !== script) await Deno.writeTextFile(path, shorter);
  }
}

function templateLiteral(text: string): string {
  const escaped = text.replaceAll(/[\\`]|\$\{/g, "\\$&").replaceAll(/[^\n -~]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).toUpperCase();
    return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
  return `\`${escaped}\``;
}

async function copyRest(folder: string): Promise<void> {
  const page = new URL("bench/browser/page/", root);
  const { version, commit } = await describeSuite();
  const fields: Readonly<Record<string, string>> = {
    policy: contentPolicy,
    version: version ?? config.version,
    commit: commit ?? "",
    repository: (config as { readonly repository?: string }).repository ?? "",
  };
  const template = await Deno.readTextFile(new URL("index.html", page));
  const filled = template.replaceAll(
    /\{\{\s*(\w+)\s*\}\}/g,
    (found, name: string) =>
      name in fields ? escapeHtml(fields[name]!).replaceAll("&#39;", "'") : found,
  );
  const { results, buttons } = await copyFixtures(`${folder}/fixtures`);
  await Deno.writeTextFile(`${folder}/gallery.html`, renderGallery(results, Date.now()));
  await Deno.writeTextFile(
    `${folder}/index.html`,
    filled.replace(/\{\{\s*fixtures\s*\}\}/, () => buttons),
  );
  const style = await Deno.readTextFile(new URL("page.css", page));
  await Deno.writeTextFile(`${folder}/style.css`, `${PAGE_STYLE}\n${style}`);
  await Deno.copyFile(new URL("icon.svg", page), `${folder}/icon.svg`);
}

// Copies the project's result files, and makes a button that opens each file.
async function copyFixtures(
  folder: string,
): Promise<{ readonly results: readonly NamedResult[]; readonly buttons: string }> {
  await Deno.mkdir(folder);
  const fixtures = new URL("fixtures/", root);
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(fixtures)) {
    if (isFile && name.endsWith(".json")) names.push(name);
  }
  const buttons: string[] = [];
  const results: NamedResult[] = [];
  for (const name of names.sort()) {
    const text = await Deno.readTextFile(new URL(name, fixtures));
    let label: string;
    try {
      const file = parseResultFile(text, name);
      label = file.label ?? `${adapterName(file)}, ${file.runtime.name}`;
      results.push({ name, file });
    } catch {
      continue; // another kind of fixture
    }
    await Deno.writeTextFile(`${folder}/${name}`, text);
    buttons.push(
      `<button type="button" class="small" data-fixture="fixtures/${escapeHtml(name)}">${
        escapeHtml(label)
      }</button>`,
    );
  }
  return { results, buttons: buttons.join("\n            ") };
}
