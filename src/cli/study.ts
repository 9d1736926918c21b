/**
 * `deno task study`: trains the controlled study's arms (each is one setting, model variant and
 * seed), or reports finished ones.
 */
import { join } from "node:path";
import { escapeTerminal } from "../escape.ts";
import { armName, isTextSetting, listArms, type StudyArm } from "../experiments/study/arms.ts";
import { checkStudyFolder, isFinished } from "../experiments/study/folder.ts";
import { savePlan } from "../experiments/study/plan.ts";
import { openTask } from "../experiments/run/task.ts";
import { type ArmState, countStates, failures, runStudy } from "../experiments/study/runner.ts";
import { studyRunSettings, type StudyScale } from "../experiments/study/settings.ts";
import { CorpusError } from "../experiments/tasks/text_corpus.ts";
import type { ChildCommand } from "../processes.ts";
import { FileError } from "../files/file_error.ts";
import { runCommand } from "./shared/command.ts";
import { type CommandOutput, standardOutput } from "./shared/output.ts";
import { type ProgressOutput, stderrOutput } from "./shared/progress.ts";
import { listenForInterrupts } from "./shared/interrupts.ts";
import { enterUserFolder } from "./shared/place.ts";
import { armCommand } from "./study/arm_command.ts";
import { parseStudy, studyHelp, type StudyRequest } from "./study/options.ts";
import { StudyOverview } from "./study/overview.ts";
import { writeReport } from "./study/report.ts";

/** Parts that tests replace. */
export interface StudyHooks {
  /** Returns the command that runs an arm. Default: `study/run.ts` with the least permissions. */
  readonly command?: (arm: StudyArm) => ChildCommand;
  /** The stream for the overview. Default: stderr. */
  readonly progress?: ProgressOutput;
  /** When it aborts, all runs save and stop. Default: a signal that SIGINT and SIGTERM abort. */
  readonly signal?: AbortSignal;
}

/** Runs the command; returns its exit code. */
export async function study(
  args: readonly string[],
  output: CommandOutput,
  hooks: StudyHooks = {},
): Promise<number> {
  return await runCommand(
    {
      name: "study",
      parse: parseStudy,
      help: studyHelp,
      run: (request) =>
        request.command === "report"
          ? writeReport(request, output)
          : run(request, { output, hooks }),
      explains: (error) =>
        [FileError, CorpusError, Deno.errors.NotCapable, Deno.errors.NotFound]
          .some((kind) => error instanceof kind),
    },
    args,
    output,
  );
}

type RunRequest = Extract<StudyRequest, { command: "run" }>;

async function run(
  request: RunRequest,
  { output, hooks }: { readonly output: CommandOutput; readonly hooks: StudyHooks },
): Promise<number> {
  const { selection, scale, shard, jobs, out } = request;
  const arms = listArms(selection, shard);
  if (arms.length === 0) {
    output.err(`study: shard ${shard.index}/${shard.count} has no arms, there are fewer parts\n`);
    return 0;
  }
  const finished = (arm: StudyArm) => isFinished(join(out, armName(arm)), { arm, scale });
  if (request.list) {
    for (const arm of arms) {
      output.out(`${armName(arm)}  ${await finished(arm) ? "finished" : "to do"}\n`);
    }
    return 0;
  }
  for (const note of await checkCorpus(arms, scale)) output.err(`study: ${escapeTerminal(note)}\n`);
  await checkStudyFolder(out, scale);
  await savePlan(out, listArms(selection).map(armName));
  const progress = hooks.progress ?? stderrOutput();
  const overview = new StudyOverview(progress, jobs);
  const interrupt = new AbortController();
  interrupt.signal.addEventListener("abort", () => {
    overview.clear();
    output.err("study: stopping; each run saves where it is\n");
  });
  // At the first Ctrl-C, the runs save and stop. A second one ends this process at once, and what
  // the runs saved last stays.
  const unlisten = hooks.signal === undefined
    ? listenForInterrupts(interrupt, { secondExits: true })
    : () => {};
  let states: ArmState[];
  try {
    const command = hooks.command ?? await armCommand(request);
    states = await runStudy({
      arms,
      steps: scale.steps,
      jobs,
      isFinished: async (arm) => await finished(arm) && !request.remeasure,
      command,
      signal: hooks.signal ?? interrupt.signal,
      show: (each) => overview.show(each),
      now: progress.now,
    });
  } finally {
    unlisten();
    overview.clear();
  }
  return conclude(states, { request, output });
}

/** Refuses unusable text before anything is written. Otherwise every run would refuse it. */
async function checkCorpus(
  arms: readonly StudyArm[],
  scale: StudyScale,
): Promise<readonly string[]> {
  const arm = arms.find(({ setting }) => isTextSetting(setting));
  return arm === undefined ? [] : (await openTask(studyRunSettings(arm, scale))).notes;
}

function conclude(
  states: readonly ArmState[],
  { request, output }: { readonly request: RunRequest; readonly output: CommandOutput },
): number {
  for (const failure of failures(states)) output.err(escapeTerminal(`study: ${failure}`) + "\n");
  output.out(`${countStates(states)} of ${states.length} in ${escapeTerminal(request.out)}\n`);
  const open = states.some(({ state }) => state === "stopped" || state === "waiting");
  if (open) {
    output.out("The same command goes on with it.\n");
    return 130;
  }
  if (states.some(({ state }) => state === "failed")) return 1;
  output.out(`deno task study report ${escapeTerminal(request.out)} makes the report.\n`);
  return 0;
}

if (import.meta.main) {
  enterUserFolder();
  Deno.exitCode = await study(Deno.args, standardOutput());
}
