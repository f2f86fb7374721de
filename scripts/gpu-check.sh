#!/usr/bin/env bash
# Everything to be found out on a machine with an NVIDIA GPU, in one command and at most eight minutes:
#
#   scripts/gpu-build.sh                     # anywhere: makes gpu-bin/ and gpu-bin.tar.gz, which is what travels
#   OUT=gpu-out scripts/gpu-check.sh         # on the machine with the card, from the same checkout, with either of them
#
# The machine with the card needs bash, coreutils, tar and gzip, a driver and the libraries of CUDA 13; no cargo, no
# compiler, no network. It reads the card's settings and changes none.
#
#   $OUT/summary.txt     one line per step, then how many passed and failed; a note if gpu-bin is of another commit
#   $OUT/facts.txt       card, driver, clocks, what else runs on it, libraries in use, `doctor`
#   $OUT/kernels.txt     the kernels against their equations; then memcheck, racecheck and synccheck of some of them,
#                        where compute-sanitizer is installed
#   $OUT/verify.txt      conformance cases on the card, fused and reference, and the fused engine beside its twin at the
#                        edges of tiles, in f64 at their own tolerance and in f32 at its stated bound
#   $OUT/claims.csv      what is claimed of the fused engine on a card, measured and judged line by line
#   $OUT/ladder.csv      time per call on every rung of the fused engine and with every kind of operands, beside cuBLAS's
#                        own rate
#   $OUT/depth.txt       the suite `fused-depth` on the card: table, warnings
#   $OUT/record.tar.gz   its record with samples and figures; unpack at the top of the checkout
#
# No more files than these eight. What is worth most comes first: a step that fails or takes too long leaves the others
# their time.
#
# Exit code 0 only if every step passed.
#
# Not run on a card yet: this script as a whole, every kernel of the fused engine (they have run in the emulator and been
# compiled), recording and replaying, products by cuBLAS under them, the events that time samples, claims and ladder, and
# the lines of `doctor` about a card. GPU_CHECK_DEVICE=cpu runs what can run with the CPU in the card's place.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
program=$PWD/gpu-bin/pcnbench
device=${GPU_CHECK_DEVICE:-cuda}
out=${OUT:-gpu-out}
if ! mkdir -p "$out" || ! out=$(cd "$out" && pwd) || [[ ! -w $out ]]; then
  echo "gpu-check: cannot write to ${OUT:-gpu-out}" >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The packed ones are the last that were built.
if [[ -e gpu-bin.tar.gz ]]; then
  tar -xzf gpu-bin.tar.gz || { echo "gpu-check: gpu-bin.tar.gz cannot be unpacked" >&2; exit 1; }
fi
for built in "$program" gpu-bin/card gpu-bin/ladder gpu-bin/claims; do
  [[ -x $built ]] || { echo "gpu-check: $built is missing; make it with scripts/gpu-build.sh" >&2; exit 1; }
done

# A Python package may be the only place that has the libraries; the system's own come first.
folders=${LD_LIBRARY_PATH:-}
for folder in "${CUDA_HOME:-/usr/local/cuda}"/lib64 /usr/local/cuda/lib64 /usr/local/nvidia/lib64 \
  $(python3 -c 'import site; print(*(f"{p}/nvidia/cu13/lib" for p in site.getsitepackages()))' 2>/dev/null); do
  [[ ! -d $folder ]] || folders=${folders:+$folders:}$folder
done
export LD_LIBRARY_PATH=$folders

passed=0 failed=0
: >"$out/summary.txt"

# One line of the summary, on the screen too.
note() { printf '%s\n' "$*" | tee -a "$out/summary.txt"; }

# step NAME SECONDS LOG COMMAND...: the command's output is added to LOG, its end to the screen.
step() {
  local name=$1 limit=$2 log=$3 start=$SECONDS status=0
  shift 3
  printf '== %s\n' "$name" >>"$log"
  timeout --kill-after=5 "$limit" "$@" >"$work/said" 2>&1 || status=$?
  cat "$work/said" >>"$log"
  tail -n 12 "$work/said"
  if ((status == 0)); then
    passed=$((passed + 1))
    note "pass  $name ($((SECONDS - start)) s)"
  else
    failed=$((failed + 1))
    ((status != 124 && status != 137)) || name="$name: not done after $limit s"
    note "FAIL  $name (exit code $status, $((SECONDS - start)) s)"
  fi
  return "$status"
}

# Without what this finds the rest would only fail again, so it asks for nothing else: the first start of a driver can take
# most of a minute.
doctor() {
  "$program" doctor | tee "$work/doctor"
  [[ $device != cuda ]] || ! grep -q 'is not available' "$work/doctor" || return 1
}

# For the reader; nothing here can fail a check. A driver may not know every one of these.
facts() {
  cat gpu-bin/build.txt
  timeout 5 ldd "$program"
  [[ $device == cuda ]] || return 0
  local card=name,driver_version,power.limit,clocks.sm,clocks.mem,clocks.max.sm,temperature.gpu
  local state=ecc.mode.current,mig.mode.current,persistence_mode,clocks_event_reasons.active
  timeout 5 nvidia-smi
  timeout 5 nvidia-smi --query-gpu="$card" --format=csv
  timeout 5 nvidia-smi --query-gpu="$state" --format=csv
  timeout 5 nvidia-smi --query-compute-apps=pid,used_memory --format=csv
}

# A case that is not there, or none that ran, is no success.
verify() {
  "$program" verify --cases tests/cases --engine "$1" --device "$device" --dtype "$2" | tee "$work/cases"
  grep -qE '^[1-9][0-9]* passed, 0 failed' "$work/cases"
}

# Without a card the tests say that they skip, and pass. One after another: two launches that each want the whole card for
# themselves had better not meet.
kernels() {
  gpu-bin/card --nocapture --test-threads 1 | tee "$work/kernels"
  [[ $device != cuda ]] || ! grep -q skipped "$work/kernels" || return 1
}

# The tests are cut short under the sanitizer: a kernel takes a hundred times as long. It looks into the program that it
# starts itself, so nothing may stand between them.
sanitize() {
  local options=(--tool "$1" --error-exitcode 9)
  # a driver asked for something that it does not have is no access to memory
  [[ $1 != memcheck ]] || options+=(--report-api-errors no)
  PCNBENCH_CARD_CASES=12 "$sanitizer" "${options[@]}" \
    gpu-bin/card --nocapture --test-threads 1 calls_do primitives_do calls_in_one
}

ladder() { gpu-bin/ladder | tee "$out/ladder.csv"; }
claims() { gpu-bin/claims | tee "$out/claims.csv"; }

# Six points: samples take that long at each, energy up to as long again, and half a minute of warming up comes on top.
depth() {
  "$program" run benches/suites/fused-depth.toml --device "$device" --max-seconds "${GPU_CHECK_SECONDS:-5}" \
    --results "$work/results"
}

# Whatever the suite got done is drawn and packed, even if it was stopped.
pack() {
  local record
  record=$(find "$work/results" -name run.json -printf '%h\n' | head -n 1)
  [[ -n $record ]] || { echo 'there is no record'; return 1; }
  "$program" report "$record" --format md
  [[ -f $record/index.html ]] || "$program" plot "$record"
  tar -C "$work" --exclude=.lock -czf "$out/record.tar.gz" results && tar -tzf "$out/record.tar.gz"
}

# The steps run under `timeout`, which starts programs, not functions.
export -f doctor kernels verify sanitize ladder claims depth pack
sanitizer=$(PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin:/usr/local/cuda/bin command -v compute-sanitizer)
export program device out work sanitizer
strict=(bash -euo pipefail -c)

# verify_on ENGINE SECONDS
verify_on() {
  local dtype
  for dtype in f64 f32; do
    step "conformance cases and twins, $1 in $dtype" "$2" "$out/verify.txt" "${strict[@]}" "verify $1 $dtype"
  done
}

rm -f "$out"/{facts,kernels,verify,depth}.txt "$out"/{claims,ladder}.csv "$out/record.tar.gz"
# Programs of another commit measure something else than the suites and cases beside them say.
built=$(sed -n 's/^commit //p' gpu-bin/build.txt)
here=$(git rev-parse HEAD 2>/dev/null)
if [[ -n $here && $built != "$here" ]]; then
  note "note  gpu-bin was built of commit ${built:-unknown}, this checkout is at $here"
fi

# The limits add up to 8 min, those of `facts` and 13 s for each sanitizer among them.
if step "what the machine has" 60 "$out/facts.txt" "${strict[@]}" doctor; then
  facts >>"$out/facts.txt" 2>&1
  step "kernels" 50 "$out/kernels.txt" "${strict[@]}" kernels
  verify_on fused 15
  if [[ $device == cuda ]]; then
    step "claims" 90 "$work/claims.txt" "${strict[@]}" claims
    # how many bounds hold is no matter of passing or failing, but belongs into the summary
    sed -n 's/^# /      /p' "$work/claims.txt" | tee -a "$out/summary.txt"
    step "every rung" 65 "$work/ladder.txt" "${strict[@]}" ladder
  fi
  step "suite fused-depth" 95 "$out/depth.txt" "${strict[@]}" depth
  step "its record, read again" 10 "$work/pack.txt" "${strict[@]}" pack
  verify_on reference 10
  tools=(memcheck racecheck synccheck)
  for i in "${!tools[@]}"; do
    tool=${tools[i]}
    if [[ -n $sanitizer ]]; then
      # an equal part of what the others left of the eight minutes
      limit=$(((479 - SECONDS) / (${#tools[@]} - i)))
      step "$tool of the kernels" $((limit > 13 ? limit : 13)) "$out/kernels.txt" "${strict[@]}" "sanitize $tool"
    else
      note "skip  $tool of the kernels: compute-sanitizer is not installed"
    fi
  done
fi

note "$passed passed, $failed failed"
((failed == 0))
