#!/usr/bin/env bash
# Whether runs of one program agree on this machine within their intervals:
#
#   scripts/agreement.sh DIR [RUNS]    # 40 runs unless told otherwise, about 22 seconds each
#
# Measures the suite `agreement` (short updates, several threads among them) RUNS times into DIR/run-1, DIR/run-2, …, and
# holds every run against every later one. Runs that are there already are kept, so that an interrupted series goes on. What
# `pcnbench agreement` says goes into DIR/agreement.txt too.
#
#   PCNBENCH=path/to/pcnbench    use this program instead of building one
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ $# -lt 1 || $# -gt 2 ]]; then
  sed -n '2,/^set/ s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 1
fi
dir=${1%/} runs=${2:-40}
if [[ -z ${PCNBENCH:-} ]]; then
  cargo build --release
  PCNBENCH=${CARGO_TARGET_DIR:-target}/release/pcnbench
fi

for ((i = 1; i <= runs; i++)); do
  [[ -e $dir/run-$i/summary.csv ]] && grep -q '"finished": *"' "$dir/run-$i/run.json" && continue
  rm -rf "$dir/run-$i"
  "$PCNBENCH" run benches/suites/agreement.toml --no-plots --out "$dir/run-$i" >/dev/null
done
all=()
for ((i = 1; i <= runs; i++)); do all+=("$dir/run-$i"); done
"$PCNBENCH" agreement "${all[@]}" | tee "$dir/agreement.txt"
