/**
 * Runs the jobs of the GitHub Actions examples step by step. Calls bash as a runner does, and keeps
 * artifacts in a folder. Throws if a step needs a feature of GitHub Actions that is missing here.
 */
import { basename, dirname } from "node:path";
import { parseDocument } from "yaml";
import { cloneInto, type Finished, startBash, type Started } from "./machines.ts";

/** One step of a job. */
export interface Step {
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly shell?: string;
  readonly if?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly "timeout-minutes"?: number;
}

/** One job of a workflow. */
export interface Job {
  readonly needs?: string;
  readonly if?: string;
  readonly "runs-on": unknown;
  readonly permissions?: unknown;
  readonly strategy?: {
    readonly "fail-fast"?: boolean;
    readonly matrix: { readonly include: readonly Readonly<Record<string, unknown>>[] };
  };
  readonly steps: readonly Step[];
}

/** A workflow file. */
export interface Workflow {
  readonly on: {
    readonly workflow_dispatch: {
      readonly inputs: Readonly<Record<string, { readonly default: string }>>;
    };
    readonly pull_request?: { readonly paths: readonly string[] };
  };
  readonly permissions: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

/** Reads a workflow. Throws if its YAML has a mistake or a warning. */
export function parseWorkflow(text: string): Workflow {
  const document = parseDocument(text, { strict: true, uniqueKeys: true });
  for (const problem of [...document.errors, ...document.warnings]) throw problem;
  return document.toJS() as Workflow;
}

/** A job's environment. */
export interface RunJobOptions {
  /** The values of expressions such as `matrix.name`. */
  readonly values: Readonly<Record<string, string>>;
  /** The machine's own variables, which are added to every command's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The machine's working folder. */
  readonly folder: string;
  /** The folder of the artifacts. */
  readonly artifacts: string;
  /**
   * Makes a checkout in a folder. Default: a copy of the working tree's code, without its history.
   */
  readonly checkout?: (folder: string) => Promise<void>;
  /** Called for every command when it has started. */
  readonly started?: (step: Step, command: Started) => void;
}

/**
 * A step's result. `finished` is the exit code and output of the step's command or action, or
 * undefined if the step was skipped.
 */
export interface StepResult {
  readonly step: Step;
  readonly finished: Finished | undefined;
}

/** Runs a job's steps in order. */
export async function runJob(job: Job, options: RunJobOptions): Promise<StepResult[]> {
  const results: StepResult[] = [];
  let failed = false;
  for (const step of job.steps) {
    if (step.if !== undefined && step.if !== "always()") throw new Error(`unknown if: ${step.if}`);
    if (failed && step.if === undefined) {
      results.push({ step, finished: undefined });
      continue;
    }
    const finished = step.run === undefined
      ? await runAction(step, options)
      : await runCommand(step, options);
    failed ||= finished.code !== 0;
    results.push({ step, finished });
  }
  return results;
}

function evaluate(text: string, { values }: RunJobOptions): string {
  return text.replaceAll(/\$\{\{ *(.*?) *\}\}/g, (_, expression: string) => {
    const value = values[expression];
    if (value === undefined) throw new Error(`unknown expression: ${expression}`);
    return value;
  });
}

async function runCommand(step: Step, options: RunJobOptions): Promise<Finished> {
  if (step.shell !== "bash") throw new Error(`unknown shell: ${step.shell}`);
  const { folder } = options;
  const script = await Deno.makeTempFile({ dir: `${folder}/..`, suffix: ".sh" });
  await Deno.writeTextFile(script, evaluate(step.run!, options));
  const own = Object.entries(step.env ?? {}).map(([name, text]) => [name, evaluate(text, options)]);
  const command = startBash(["--noprofile", "--norc", "-e", "-o", "pipefail", script], {
    cwd: folder,
    env: {
      ...options.env,
      GITHUB_STEP_SUMMARY: `${folder}/../summary.md`,
      RUNNER_TEMP: `${folder}/../temp`,
      ...Object.fromEntries(own),
    },
  });
  options.started?.(step, command);
  return await command.finished;
}

async function runAction(step: Step, options: RunJobOptions): Promise<Finished> {
  const { folder, artifacts } = options;
  const text = (name: string): string => evaluate(String(step.with?.[name] ?? ""), options);
  const path = `${folder}/${text("path")}`;
  switch (step.uses?.split("@")[0]) {
    case "actions/checkout":
      await (options.checkout ?? cloneInto)(folder);
      break;
    case "denoland/setup-deno": // the deno that runs this test
      break;
    case "actions/upload-artifact": {
      const target = `${artifacts}/${text("name")}`;
      // By default the action only warns if there is nothing to upload.
      const files = await filesAt(path);
      if (files.length === 0) {
        return { code: text("if-no-files-found") === "error" ? 1 : 0, output: "" };
      }
      for (const { from, name } of files) {
        await Deno.mkdir(dirname(`${target}/${name}`), { recursive: true });
        await Deno.copyFile(from, `${target}/${name}`);
      }
      break;
    }
    case "actions/download-artifact": {
      if (text("merge-multiple") !== "true") throw new Error("only merge-multiple is known here");
      const prefix = text("pattern").replace(/\*$/, "");
      await Deno.mkdir(path, { recursive: true });
      for await (const { name } of Deno.readDir(artifacts)) {
        if (!name.startsWith(prefix)) continue;
        for await (const file of Deno.readDir(`${artifacts}/${name}`)) {
          await Deno.copyFile(`${artifacts}/${name}/${file.name}`, `${path}/${file.name}`);
        }
      }
      break;
    }
    default:
      throw new Error(`unknown action: ${step.uses}`);
  }
  return { code: 0, output: "" };
}

/** The files of an artifact, which is a file or a folder. */
async function filesAt(path: string): Promise<{ from: string; name: string }[]> {
  const found = await Deno.stat(path).catch(() => undefined);
  if (found === undefined) return [];
  if (found.isFile) return [{ from: path, name: basename(path) }];
  const files: { from: string; name: string }[] = [];
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    if (!isDirectory) files.push({ from: `${path}/${name}`, name });
    else {
      const inner = await filesAt(`${path}/${name}`);
      files.push(...inner.map((file) => ({ ...file, name: `${name}/${file.name}` })));
    }
  }
  return files;
}
