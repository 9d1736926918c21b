#!/bin/bash
# Trains the study in parts, one GPU each, and makes its report. From a clone in a folder that all nodes share:
#
#   bash bench/fleet/slurm/submit_study.sh 10 [OPTIONS of deno task study]
#
# This makes ten parts. All variants of a setting and seed train in one part, so parts beyond
# settings × seeds have no work.
set -euo pipefail

parts="${1:?wanted the number of parts, such as 10}"
shift

# Compute nodes often have no network, so the packages are fetched here.
deno cache --quiet src/cli/study.ts src/cli/study/run.ts src/report/study/page.ts src/report/svg_document.ts
mkdir -p results

job=$(sbatch --parsable --gres=gpu:1 --array="0-$((parts - 1))" bench/fleet/slurm/study.sbatch "$@")
job="${job%%;*}" # without the cluster's name
sbatch --dependency="afterany:$job" bench/fleet/slurm/study_report.sbatch "results/study-$job"
