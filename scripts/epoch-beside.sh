#!/usr/bin/env bash
# One epoch of MNIST, 784-128-128-128-10 with tanh, by sPC with eight steps and by BP: the fused CPU engine beside programs in PyTorch
# and JAX of the same recipe, contenders/epoch.toml.
#
#   scripts/epoch-beside.sh OUT --data DIR [--rounds 10] [--threads 2] [--rules "spc bp"]
#
# First every program must make the same update as pcnbench, from the same parameters on the same 64 images. Then all of them run in
# turn, a process each, in an order that rotates from round to round, on as many processors as threads. OUT/epoch-beside.txt has
# seconds of training, without start, compiling and evaluation, and ratios within rounds. A library that is not installed is left
# out with a line on standard error. Exit code 0 only if everything ran.
#
#   PCNBENCH=path/to/pcnbench    use this program instead of building one
#   PYTHON=path/to/python3       the one that has contenders/requirements.txt
set -euo pipefail

usage() {
  sed -n '2,/^set/ s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 1
}

started=$(uptime | sed 's/.*load average: //')
command="scripts/epoch-beside.sh OUT --data DIR"
out='' data='' rounds=10 threads=2 rules='spc bp'
while (($#)); do
  case $1 in
  --data | --rounds | --threads | --rules)
    (($# >= 2)) || usage
    printf -v "${1#--}" %s "$2"
    [[ $1 == --data ]] || command+=" $1 $(printf %q "$2")"
    shift 2
    ;;
  -*) usage ;;
  *)
    [[ -z $out ]] || usage
    out=$1
    shift
    ;;
  esac
done
[[ -n $out && -n $data && $rounds =~ ^[1-9][0-9]*$ && $threads =~ ^[1-9][0-9]*$ ]] || usage
data=$(cd "$data" && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)
[[ -z $(ls -A "$out") ]] || { echo "error: $out is not empty; give a new folder" >&2; exit 1; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ -z ${PCNBENCH:-} ]]; then
  cargo build --release
  PCNBENCH=${CARGO_TARGET_DIR:-target}/release/pcnbench
fi
PYTHON=${PYTHON:-python3}
recipe=contenders/epoch.toml

# The same processors for all, as many as threads.
processors=$(python3 -c 'import os, sys
allowed = sorted(os.sched_getaffinity(0))
n = int(sys.argv[1])
sys.exit(f"error: {n} threads need {n} processors, and {len(allowed)} may be used") if n > len(allowed) else print(*allowed[:n], sep=",")' "$threads")

train() { # RULE DATA OUT
  taskset -c "$processors" "$PCNBENCH" train "$recipe" --contender "$1/fused" --data "$2" --threads "$threads" --out "$3" >/dev/null
}

contender() { # PROGRAM-VARIANT RULE DATA...
  local name=$1 rule=$2
  shift 2
  taskset -c "$processors" "$PYTHON" "contenders/${name%-*}_epoch.py" --variant "${name#*-}" --rule "$rule" --threads "$threads" --data "$@"
}

check=$(mktemp -d)
trap 'rm -rf "$check"' EXIT
python3 contenders/mnist.py "$data" 64 "$check/data"
programs=(pcnbench)
for rule in $rules; do
  train "$rule" "$check/data" "$check/$rule"
done
for name in torch-compiled torch-eager jax-scanned jax-sharded; do
  for rule in $rules; do
    status=0
    contender "$name" "$rule" "$check/data" --agree "$check/$rule" || status=$?
    ((status != 3)) || continue 2
    ((status == 0)) || exit "$status"
  done
  programs+=("$name")
done

for ((round = 0; round < rounds; round++)); do
  for rule in $rules; do
    for ((i = 0; i < ${#programs[@]}; i++)); do
      name=${programs[(round + i) % ${#programs[@]}]}
      if [[ $name == pcnbench ]]; then
        train "$rule" "$data" "$out/$round-pcnbench-$rule"
      else
        contender "$name" "$rule" "$data" >"$out/$round-$name-$rule.csv"
      fi
    done
  done
done

{
  echo "# One epoch of MNIST, 784-128-128-128-10, $threads threads: $command, $(date -u +%F)"
  echo "# $(lscpu | sed -n 's/^Model name: *//p'), $(lscpu | sed -n 's/^CPU family: */family /p') $(lscpu | sed -n 's/^Model: */model /p'), $(nproc) processors, $(uname -sr), load at the start $started"
  python3 contenders/beside.py "$out"
} | tee "$out/epoch-beside.txt"
