#!/usr/bin/env bash
# Whether the gate tells a change from noise on this machine, as it is now:
#
#   scripts/gate-trials.sh [TRIALS]          # 20 unless told otherwise; about half an hour on two cores, longer on busy ones
#   taskset -c 0,1 scripts/gate-trials.sh    # on two of the machine's processors
#
# One baseline is measured, then the gate runs TRIALS times on the same program, and TRIALS times with rule sPC slowed
# down by 5 % under every engine, which only a build with the feature `trials` can do. Exit code 0 only if every
# injected slowdown is called regressed at every point and nothing else is, and nothing is in any of the others.
#
#   PCNBENCH=path/to/pcnbench    use this program, built with `--features trials`, instead of building one
#   OUT=DIR                      keep all reports and records there instead of in a temporary folder
#   ROUNDS=N                     measure N rounds; noisy machines need more than quiet ones
#   LOOPS=N                      run the gates, not the baseline, beside N busy loops of equal priority
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
trials=${1:-20}
rule=spc
if [[ -z ${PCNBENCH:-} ]]; then
  # Apart from the usual target folder, so that no program with injected slowdowns lies where one without is looked for.
  cargo build --release --features trials --target-dir "${CARGO_TARGET_DIR:-target}/trials"
  PCNBENCH=${CARGO_TARGET_DIR:-target}/trials/release/pcnbench
fi
if [[ -n ${OUT:-} ]]; then
  mkdir -p "$OUT"
  work=$OUT
else
  work=$(mktemp -d)
fi
pids=()
ended() {
  ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
  [[ -n ${OUT:-} ]] || rm -rf "$work"
}
trap ended EXIT

# The gate suite with few contenders on one small network for each engine, so that forty of them take minutes, and without the
# threads that wait for one another: what can be measured of those is a matter of the machine.
benchmark() {
  local name=$1 baseline=$2 contenders=$3 depth=$4 width=$5
  cat <<TOML
[[benchmark]]
name = "$name"
model = "weight-update"
about = "Time per weight update in units of BP's."
data = "digits"
contenders = [$contenders]
baseline = "$baseline"
[benchmark.axes]
depth = [$depth]
width = [$width]
batch = [64]
steps = ["L"]
step_size = [0.1]
activation = ["tanh"]
parameterisation = ["sp-normal"]
[benchmark.training]
optimiser = "sgd"
learning_rate = 1e-3
[benchmark.timing]
target_half_width = 0.0001
max_seconds = 60.0
warmup_seconds = 0.03
turn_seconds = 0.004
min_rounds = ${ROUNDS:-240}
max_rounds = ${ROUNDS:-240}
TOML
}
{
  printf 'schema = 1\nname = "trials"\nabout = "A small gate."\nseed = 20250520\n'
  benchmark gate bp/reference '"bp/reference", "spc/reference", "epc/reference"' 5 64
  benchmark fused bp/fused:1 '"bp/fused:1", "spc/fused:1", "epc/fused:1"' 8 64
} >"$work/trials.toml"
planted="1 $rule/fused:1 1 $rule/reference"
# A slow machine may leave more of a run to its first rounds; nothing is judged by its wall time.
gate() { "$PCNBENCH" gate --suite "$work/trials.toml" --results "$work/results" --format csv "$@"; }

# A baseline that is too noisy for most verdicts is made again, as its warning says.
for ((i = 1; ; i++)); do
  said=$(gate --update-baseline --out "$work/baseline-$i")
  echo "$said"
  [[ $said == *"make the baseline again"* ]] || break
  ((i < 5)) || { echo "gate-trials: the machine is too busy for a baseline" >&2; exit 1; }
done

for ((i = 0; i < ${LOOPS:-0}; i++)); do
  # a loop that ends with this script, however that ends
  bash -c 'while kill -0 "$1" 2>/dev/null; do for ((j = 0; j < 100000; j++)); do :; done; done' loop $$ &
  pids+=($!)
done

# Runs one gate and leaves in `found` which contenders regressed, one word each, with a count of points before it. A gate
# that other programs did not let run says so of what it doubts; that is no trial, and it is tried again.
found=
busy=0
regressed() {
  local name=$1 status attempt
  for ((attempt = 1; ; attempt++)); do
    status=0
    gate --out "$work/$name-$attempt" >"$work/$name.csv" 2>"$work/$name.err" || status=$?
    # 0 clean, 3 regressed; anything else is no answer.
    if ((status != 0 && status != 3)); then
      cat "$work/$name.err" >&2
      exit 1
    fi
    grep -q 'other programs had the processors' "$work/$name.csv" || break
    busy=$((busy + 1))
    ((attempt < 10)) || { echo "gate-trials: the machine is too busy for a trial" >&2; exit 1; }
  done
  found=$(python3 - "$work/$name.csv" <<'PY'
import collections, csv, sys
found = collections.Counter(r["contender"] for r in csv.DictReader(open(sys.argv[1])) if r["verdict"] == "regressed")
print(" ".join(f"{n} {contender}" for contender, n in sorted(found.items())))
PY
  )
}

quiet=0 caught=0
for ((i = 1; i <= trials; i++)); do
  regressed "same-$i"
  [[ -n $found ]] || quiet=$((quiet + 1))
  echo "same program $i: ${found:-nothing} regressed"
  PCNBENCH_TRIAL_SLOWDOWN=$rule=1.05 regressed "planted-$i"
  [[ $found != "$planted" ]] || caught=$((caught + 1))
  echo "$rule slower by 5 % $i: ${found:-nothing} regressed"
done
echo "$quiet of $trials comparisons of the same program without a regression"
echo "$caught of $trials planted slowdowns found at all points, and nothing besides"
echo "$busy gates tried again because the machine was too busy to tell"
((quiet == trials && caught == trials))
