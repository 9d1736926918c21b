import { cloneInto, startBash, testWithFolder, until } from "./machines.ts";
import { resultStatus, textOfPage } from "./results.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert.ts";

// A cluster of one machine. sbatch runs the tasks of an array at once, one after the other, and notes what it was asked for;
// srun notes its process, so that a test can signal the step alone, as Slurm does; and the bench that deno runs is the
// real one but for the measuring process, which claims to be the type of GPU that was asked for.
const commands = {
  sbatch: `
echo "$*" >> "$CLUSTER/submitted"
array=0 name=script parsable=
while [[ $1 == --* ]]; do
  case $1 in
    --array=*) array="\${1#*=}" ;;
    --job-name=*) name="\${1#*=}" ;;
    --parsable) parsable=yes ;;
    --gres=*|--dependency=*) ;;
    *) echo "sbatch: unknown option $1" >&2; exit 1 ;;
  esac
  shift
done
job=$((100 + $(wc -l < "$CLUSTER/submitted")))
# The cluster has copies of the scripts, elsewhere.
cp "$1" "$CLUSTER/script"
shift
export SLURM_JOB_NAME="$name" SLURM_JOB_ID="$job" SLURM_ARRAY_JOB_ID="$job"
for task in $(seq "\${array%-*}" "\${array#*-}"); do
  SLURM_ARRAY_TASK_ID="$task" bash "$CLUSTER/script" "$@" > "$CLUSTER/log-$job-$task" 2>&1
done
if [[ -n $parsable ]]; then echo "$job;cluster"; else echo "Submitted batch job $job"; fi
`,
  srun: `
echo $$ > "$CLUSTER/step"
exec "$@"
`,
  deno: `
if [[ "$1 $2" != "task bench" ]]; then exec "$DENO" "$@"; fi
shift 2
export FAKE_CHILD="{\\"adapter\\":\\"$SLURM_JOB_NAME\\",\\"pace\\":\${PACE:-5}}"
exec "$DENO" run --quiet --no-lock -A tests/cli/bench_main.ts "$PWD/tests/cli/fake_child.ts" "$@"
`,
};

interface Cluster {
  /** The clone in the shared folder. */
  readonly clone: string;
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

async function makeCluster(folder: string): Promise<Cluster> {
  const bin = `${folder}/bin`;
  const clone = `${folder}/clone`;
  await Deno.mkdir(bin);
  for (const [name, text] of Object.entries(commands)) {
    await Deno.writeTextFile(`${bin}/${name}`, `#!/bin/bash\nset -u${text}`, { mode: 0o755 });
  }
  await cloneInto(clone);
  const env = {
    CLUSTER: folder,
    DENO: Deno.execPath(),
    PATH: `${bin}:${Deno.env.get("PATH")}`,
  };
  return { clone, folder, env };
}

testWithFolder("submit.sh measures every type of GPU and ends in one page", async (folder) => {
  const { clone, env } = await makeCluster(folder);
  const { code, output } = await startBash(
    ["examples/slurm/submit.sh", "a100:2,h100", "--shapes=quick", "--kernels=v-scale,rms-norm"],
    { cwd: clone, env },
  ).finished;
  assertEquals(code, 0, output);
  assertEquals((await Deno.readTextFile(`${folder}/submitted`)).trim().split("\n"), [
    "--parsable --job-name=a100 --gres=gpu:a100:1 --array=0-1 examples/slurm/bench.sbatch " +
    "--shapes=quick --kernels=v-scale,rms-norm",
    "--parsable --job-name=h100 --gres=gpu:h100:1 --array=0-0 examples/slurm/bench.sbatch " +
    "--shapes=quick --kernels=v-scale,rms-norm",
    "--dependency=afterany:101:102 examples/slurm/compare.sbatch 101 102",
  ]);
  const labels = [["101", "a100-0"], ["101", "a100-1"], ["102", "h100-0"]] as const;
  const page = textOfPage(await Deno.readTextFile(`${clone}/results/comparison-103.html`));
  const table = await Deno.readTextFile(`${clone}/results/comparison-103.md`);
  for (const [job, label] of labels) {
    const result = await resultStatus(`${clone}/results/${job}/${label}.json`);
    assertEquals([result?.label, result?.status], [label, "complete"]);
    assertEquals(result?.kernels.toSorted(), ["rms-norm", "v-scale"]); // the options arrive
    assertStringIncludes(page, label);
    assertStringIncludes(table, label);
  }
  assertStringIncludes(page, "h100 adapter");
});

testWithFolder("bench.sbatch goes on with its file when it is requeued", async (folder) => {
  const { clone, env } = await makeCluster(folder);
  const start = (pace: number) =>
    startBash(["examples/slurm/bench.sbatch", "--shapes=quick"], {
      cwd: clone,
      env: {
        ...env,
        PACE: String(pace),
        SLURM_JOB_NAME: "a100",
        SLURM_ARRAY_JOB_ID: "7",
        SLURM_ARRAY_TASK_ID: "3",
      },
    });
  const file = `${clone}/results/7/a100-3.json`;
  // At its time limit Slurm signals the step, not the script.
  const first = start(50);
  await until(async () => ((await resultStatus(file))?.measurements ?? 0) >= 2, file);
  Deno.kill(Number(await Deno.readTextFile(`${folder}/step`)), "SIGTERM");
  const stopped = await first.finished;
  assertEquals(stopped.code, 130, stopped.output);
  const before = (await resultStatus(file))!;
  assertEquals([before.label, before.status], ["a100-3", "incomplete"]);

  const second = await start(0).finished;
  assertEquals(second.code, 0, second.output);
  const after = (await resultStatus(file))!;
  assertEquals([after.label, after.status], ["a100-3", "complete"]);
  assert(after.measurements > before.measurements, `${before.measurements} are all there are`);
  assertEquals(after.date, before.date); // it is the same file, not a new one

  const bytes = await Deno.readTextFile(file);
  const third = await start(0).finished;
  assertEquals(third.code, 0, third.output);
  assertStringIncludes(third.output, "is complete");
  assertEquals(await Deno.readTextFile(file), bytes);
});

testWithFolder("compare.sbatch fails with one line where there is one machine", async (folder) => {
  const { clone, env } = await makeCluster(folder);
  await Deno.mkdir(`${clone}/results`);
  const { code, output } = await startBash(["examples/slurm/compare.sbatch", "1", "2"], {
    cwd: clone,
    env: { ...env, SLURM_JOB_ID: "3" },
  }).finished;
  assertEquals(code, 2, output);
  assertStringIncludes(output, "no result file given");
});
