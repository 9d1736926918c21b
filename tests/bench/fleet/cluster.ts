/** A Slurm cluster of one machine, with replacements for sbatch, srun and deno. */
import { cloneInto } from "./machines.ts";

// sbatch runs an array's tasks itself, without a queue and one after the other, and records its
// call. srun records its process ID, so that a test can signal srun's command alone, as Slurm does.
// deno is the real command, except for two kinds of processes: a measuring process names the
// requested type of GPU as its adapter, and a training process makes up figures.
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
export SLURM_ARRAY_TASK_MIN="\${array%-*}" SLURM_ARRAY_TASK_COUNT="$((\${array#*-} - \${array%-*} + 1))"
for task in $(seq "\${array%-*}" "\${array#*-}"); do
  SLURM_ARRAY_TASK_ID="$task" bash "$CLUSTER/script" "$@" > "$CLUSTER/log-$job-$task" 2>&1
done
if [[ -n $parsable ]]; then echo "$job;cluster"; else echo "Submitted batch job $job"; fi
`,
  srun: `
while [[ $1 == --* ]]; do
  case $1 in
    --cpus-per-task=*) echo "\${1#*=}" >> "$CLUSTER/cores" ;;
    *) echo "srun: unknown option $1" >&2; exit 1 ;;
  esac
  shift
done
echo $$ > "$CLUSTER/step"
exec "$@"
`,
  deno: `
case "$1 $2" in
  "task bench")
    shift 2
    export FAKE_CHILD="{\\"adapter\\":\\"$SLURM_JOB_NAME\\",\\"pace\\":\${PACE:-5}}"
    exec "$DENO" run --quiet --no-lock -A tests/cli/programs/bench_main.ts "$PWD/tests/cli/programs/fake_child.ts" "$@"
    ;;
  "task study")
    shift 2
    exec "$DENO" run --quiet --no-check --no-lock -A tests/cli/programs/study_main.ts "$@"
    ;;
  *) exec "$DENO" "$@" ;;
esac
`,
};

/** The cluster. */
export interface Cluster {
  /** The clone in the shared folder. */
  readonly clone: string;
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Makes the cluster inside a folder. */
export async function makeCluster(folder: string): Promise<Cluster> {
  const clone = `${folder}/clone`;
  const path = await makeCommands(`${folder}/bin`, ["sbatch", "srun", "deno"]);
  await cloneInto(clone);
  return { clone, folder, env: { CLUSTER: folder, DENO: Deno.execPath(), PATH: path } };
}

/**
 * Puts replacements for commands into a new folder.
 *
 * @returns a PATH on which the replacements come first
 */
export async function makeCommands(
  folder: string,
  names: readonly (keyof typeof commands)[],
): Promise<string> {
  await Deno.mkdir(folder);
  for (const name of names) {
    const text = `#!/bin/bash\nset -u${commands[name]}`;
    await Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o755 });
  }
  return `${folder}:${Deno.env.get("PATH")}`;
}
