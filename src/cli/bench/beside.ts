/** `--beside`: finds the other checkout or operator file, to measure in turns with this side's. */
import { pathToFileURL } from "node:url";
import type { MeasuringSession, OpenedAdapter } from "../../measure/child/session.ts";
import { TURNS } from "../../measure/child/protocol.ts";
import { describeAdapter } from "../../measure/bench_run.ts";
import { machineDifferences } from "../../measure/comparison/machine.ts";
import { type AdapterChoice, type Job, jobKey, listJobs, type Work } from "../../measure/jobs.ts";
import type { ResultFile } from "../../measure/result_file.ts";
import type { ChildCommand } from "../../processes.ts";
import { UsageError } from "../shared/arguments.ts";
import { type LoadedOperator, loadOperator } from "../shared/custom_operator.ts";
import { CHILD, childCommand, gitCommit, ownCheckout } from "../shared/machine.ts";
import type { Selection } from "./selection.ts";

/** The checkout or operator file that `--beside` names. */
export interface Beside {
  /** Its path, as messages show it. */
  readonly path: string;
  readonly suite: ResultFile["suite"];
  /** Starts the other side's measuring process. */
  readonly command: ChildCommand;
  /** The digest of the other side's custom operator; undefined without one. */
  readonly digest: string | undefined;
}

/** Options of {@linkcode findBeside}. */
export interface BesideRequest {
  readonly selection: Selection;
  readonly suite: ResultFile["suite"];
  readonly operator: LoadedOperator | undefined;
  /** Starts the measuring process, for tests. */
  readonly child?: ChildCommand | undefined;
}

/**
 * Finds the side that `--beside` names.
 *
 * @param path a folder or a file
 * @param request what to measure, and the suite and operator of this side
 * @throws {UsageError} if `path` is neither another checkout of the suite nor another file of the
 *   custom operator
 */
export async function findBeside(path: string, request: BesideRequest): Promise<Beside> {
  const { selection, suite, operator, child } = request;
  const real = await Deno.realPath(path).catch(() => undefined);
  if (real === undefined) throw new UsageError(`--beside: there is no ${path}`);
  if ((await Deno.stat(real)).isFile) {
    const other = await findOperatorBeside(path, request);
    const command = child ?? childCommand(selection, other.file);
    return { path, suite, command, digest: other.outline.digest };
  }
  const version = await versionOf(real);
  if (version === undefined) {
    throw new UsageError(
      `--beside: ${path} is no checkout of this project; git worktree add ${path} HEAD~1 makes one`,
    );
  }
  if (ownCheckout.protocol !== "file:") {
    throw new UsageError("--beside: this suite does not run from a checkout of the project");
  }
  if (real === await Deno.realPath(ownCheckout)) {
    throw new UsageError(
      `--beside: ${path} is the checkout that this command runs from; ` +
        "git worktree add ../before HEAD~1 makes another one",
    );
  }
  const checkout = pathToFileURL(`${real}/`);
  return {
    path,
    suite: { version, commit: await gitCommit(checkout) },
    command: child ?? childCommand({ ...selection, checkout }, operator?.file),
    digest: operator?.file.digest,
  };
}

async function findOperatorBeside(
  path: string,
  { selection, operator, child }: BesideRequest,
): Promise<LoadedOperator> {
  if (operator === undefined) {
    throw new UsageError(
      `--beside: ${path} is a file, wanted a folder with a checkout of this project; ` +
        "for two files of an operator of your own, give the new one as --operator",
    );
  }
  const other = await loadOperator({ ...selection, path }, child).catch((error: Error) => {
    throw error instanceof UsageError ? new UsageError(`--beside: ${error.message}`) : error;
  });
  const [own, beside] = [operator.outline.name, other.outline.name];
  if (own === beside) return other;
  throw new UsageError(
    `--beside: ${path} holds the operator ${beside}, and --operator the operator ${own}: ` +
      "only two files of one operator can be compared",
  );
}

// The checkout's version; undefined for other folders.
async function versionOf(folder: string): Promise<string | undefined> {
  try {
    const text = await Deno.readTextFile(`${folder}/deno.json`);
    const { name, version } = JSON.parse(text) as { name?: unknown; version?: unknown };
    await Deno.stat(`${folder}/${CHILD}`);
    return name === "@gradsink/gradsink" && typeof version === "string" ? version : undefined;
  } catch {
    return undefined;
  }
}

export interface OpenedBeside {
  /** Maps the ids of this side's jobs to the other side's jobs that they are paired with. */
  readonly partners: ReadonlyMap<number, Job>;
  readonly opened: OpenedAdapter;
  /** The operators and passes that only this side has, which it measures alone. */
  readonly alone: readonly string[];
}

/**
 * Opens the other side's adapter, and pairs this side's jobs with the other side's.
 *
 * @param session the other side's measuring process
 * @param own this side's jobs and adapter
 * @throws {UsageError} if the other side cannot measure in turns, opens another adapter, has none
 *   of the selected work, or lacks a variant that `--variants` names
 */
export async function openBeside(
  { path, suite: { version, commit } }: Beside,
  session: MeasuringSession,
  own: {
    readonly file: ResultFile;
    readonly selection: Selection;
    readonly work: readonly (Work & AdapterChoice)[];
    readonly jobs: readonly Job[];
  },
): Promise<OpenedBeside> {
  const { file, selection, work, jobs } = own;
  const opened = await session.open();
  if (opened.turns !== TURNS) {
    throw new UsageError(
      `--beside: ${path} is of version ${version} at commit ${commit ?? "unknown"}, which ` +
        (opened.turns === undefined ? "is older than" : "has another form of") +
        " measuring in turns: from this commit on, versions can be measured beside each other",
    );
  }
  const differences = machineDifferences(file, { ...file, adapter: describeAdapter(opened) });
  if (differences.length > 0) {
    throw new UsageError(`--beside: ${path} opens another adapter. ${differences.join("; ")}`);
  }
  const named = typeof selection.variants === "string" ? [] : selection.variants;
  const found = await session.choose(work, named);
  const lacks = found.map(({ known }) => known?.length === 0);
  const lacking = work.filter((_, i) => lacks[i]);
  const names = [...new Set(lacking.map(({ kernel, pass }) => `${kernel} ${pass}`))];
  if (lacking.length === work.length) {
    throw new UsageError(`--beside: ${path} has no ${names.join(", ")}, so nothing is comparable`);
  }
  const all = new Set(found.flatMap(({ known = [] }) => known));
  const unknown = named.filter((name) => !all.has(name));
  if (unknown.length > 0) {
    throw new UsageError(`--beside: ${path} has no variant ${unknown.join(", ")}`);
  }
  const common = work.flatMap((each, i) => lacks[i] ? [] : [{ ...each, ...found[i]! }]);
  return { partners: partnersOf(jobs, listJobs(selection, common)), opened, alone: names };
}

/**
 * Pairs the jobs of two sides: the same variant of the same work. A default variant that the other
 * side lacks pairs with the other side's default.
 *
 * @param jobs this side's jobs
 * @param others the other side's jobs
 * @returns a map from the ids of this side's jobs to their partners, which take over these ids
 */
export function partnersOf(
  jobs: readonly Job[],
  others: readonly Job[],
): ReadonlyMap<number, Job> {
  const same = new Map(others.map((job) => [jobKey(job), job]));
  const chosen = new Map(
    others.filter((job) => job.chosen).map((job) => [jobKey({ ...job, variant: "" }), job]),
  );
  const taken = new Set<Job>();
  const partners = new Map<number, Job>();
  const take = (id: number, other: Job | undefined): void => {
    if (other === undefined || taken.has(other)) return;
    taken.add(other);
    partners.set(id, { ...other, id });
  };
  for (const job of jobs) take(job.id, same.get(jobKey(job)));
  for (const job of jobs) {
    if (!partners.has(job.id) && job.chosen) {
      take(job.id, chosen.get(jobKey({ ...job, variant: "" })));
    }
  }
  return partners;
}
