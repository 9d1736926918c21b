#!/bin/bash
# Measures several types of GPU, each on some nodes, and compares them all. From a clone in a folder that all nodes share:
#
#   bash bench/fleet/slurm/submit.sh a100:4,h100:2 [OPTIONS of deno task bench]
#
# The types are those of `sinfo --format=%G`; the number of nodes is 1 by default.
set -euo pipefail

types="${1:?wanted the types of GPU, such as a100:4,h100:2}"
shift

# Compute nodes often have no network, so the packages are fetched here.
deno cache --quiet src/cli/bench.ts src/measure/child.ts src/cli/compare.ts
mkdir -p results

jobs=()
for each in ${types//,/ }; do
  type="${each%%:*}"
  count=1
  if [[ $each == *:* ]]; then count="${each##*:}"; fi
  job=$(sbatch --parsable --job-name="$type" --gres="gpu:$type:1" --array="0-$((count - 1))" \
    bench/fleet/slurm/bench.sbatch "$@")
  jobs+=("${job%%;*}") # without the cluster's name
done

dependency=$(IFS=:; echo "afterany:${jobs[*]}")
sbatch --dependency="$dependency" bench/fleet/slurm/compare.sbatch "${jobs[@]}"
