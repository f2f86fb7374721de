#!/usr/bin/env bash
# What is to be found out on a machine with an NVIDIA GPU, in two calls, so that what the first one finds can be mended before
# the second:
#
#   scripts/gpu-build.sh                          # anywhere: makes gpu-bin/ and gpu-bin.tar.xz, which is what travels
#   OUT=gpu-out scripts/gpu-check.sh first        # on the machine with the GPU, from the same checkout: at most 240 s
#   OUT=gpu-out scripts/gpu-check.sh full         # at most 360 s
#
# The machine with the GPU needs bash, coreutils, tar, gzip, xz or python3, a driver and the libraries of CUDA 13; no cargo, no
# compiler, no network. Where it has python3 with PyTorch or JAX, these are measured too. It reads the GPU's settings and changes
# none. Every log grows while its step runs, so that a machine that is lost has left all that it did.
#
#   $OUT/summary.txt     one line per step, then how many passed and failed; a note if gpu-bin is of another commit
#   $OUT/facts.txt       GPU, driver, clocks, what else runs on it, libraries in use, `doctor`
#   $OUT/kernels.txt     the kernels against their equations. first: building blocks, then 60 calls, at last deep nets in one
#                        launch three times. full: everything, then memcheck and racecheck of some of it
#   $OUT/ladder.csv      time per call on every strategy of the fused engine and with every kind of operands, beside cuBLAS's
#                        own rate, measured in turns: quartiles, calls per sample, the clock (columns in kernels/benches/ladder.rs);
#                        first: three depths, 0.1 s a row
#   $OUT/trace.csv       first: cycles of each phase of a step on strategy `persistent` (columns in kernels/benches/trace.rs)
#   $OUT/contenders.csv  the same rules in PyTorch and JAX (contenders/README.md), where these are installed. first: depths 8, 32
#                        and 128, recorded as one CUDA graph or by jit. full: a step of sPC again, beside the claims, and compiled
#   $OUT/ratios.csv      how many times as long as the fused engine they take; the fastest of them in the summary too
#   $OUT/ncu.txt         first: what the profiler says of a step on strategies `graph` and `persistent`
#   $OUT/verify.txt      full: conformance cases on the GPU, and the differential test of the fused engine around tile
#                        sizes, in f64 at their own tolerance and in f32 at its stated bound
#   $OUT/claims.csv      full: what is claimed of the fused engine on a GPU, measured in turns and judged line by line
#   $OUT/depth.txt       full: the suite `fused-depth` on the GPU: table, warnings
#   $OUT/record.tar.gz   full: its record with samples and figures; unpack at the top of the checkout
#
# A step that fails or takes too long leaves the others their time. A block's wait for another ends as an error after 3 s.
# Exit code 0 only if every step passed.
#
#   GPU_CHECK_DEVICE=cpu   runs what can run with the CPU in the GPU's place, `fused-depth` up to 16 layers, PyTorch and JAX
#                          with two rows each, and passes over the programs that need a GPU
#   GPU_BIN=DIR            another folder than gpu-bin
#   GPU_CHECK_SECONDS=S    seconds that samples of a point of `fused-depth` take, 5 unless told otherwise
#
# Not run on a GPU yet: this script as a whole, the programs under contenders/, every kernel of the fused engine (they have run
# in the emulator and been compiled), recording and replaying, products by cuBLAS under them, the events that time samples,
# claims and ladder, and the lines of `doctor` about a GPU.
set -uo pipefail

case ${1:-} in
  first) total=240 ;;
  full) total=360 ;;
  *)
    sed -n '2,/^set/ s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 1
    ;;
esac
part=$1

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
device=${GPU_CHECK_DEVICE:-cuda}
out=${OUT:-gpu-out} bin=${GPU_BIN:-gpu-bin}
if ! mkdir -p "$out" || ! out=$(cd "$out" && pwd) || [[ ! -w $out ]]; then
  echo "gpu-check: cannot write to ${OUT:-gpu-out}" >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The packed ones are the last that were built.
if [[ $bin == gpu-bin && -e gpu-bin.tar.xz ]]; then
  # Python where there is no xz
  tar -xJf gpu-bin.tar.xz 2>/dev/null || python3 -m tarfile -e gpu-bin.tar.xz ||
    { echo "gpu-check: gpu-bin.tar.xz cannot be unpacked: neither xz nor python3 with lzma is installed, or it is damaged" >&2; exit 1; }
fi
programs=(pcnbench device ladder claims trace)
[[ $device == cuda ]] || programs=(pcnbench)
for built in "${programs[@]}"; do
  [[ -x $bin/$built ]] || { echo "gpu-check: $bin/$built is missing; make it with scripts/gpu-build.sh" >&2; exit 1; }
done
bin=$(cd "$bin" && pwd)
program=$bin/pcnbench

# A Python package may be the only place that has the libraries; the system's own come first.
folders=${LD_LIBRARY_PATH:-}
for folder in "${CUDA_HOME:-/usr/local/cuda}"/lib64 /usr/local/cuda/lib64 /usr/local/nvidia/lib64 \
  $(python3 -c 'import site; print(*(f"{p}/nvidia/cu13/lib" for p in site.getsitepackages()))' 2>/dev/null); do
  [[ ! -d $folder ]] || folders=${folders:+$folders:}$folder
done
export LD_LIBRARY_PATH=$folders PCNBENCH_PATIENCE_SECONDS=3

passed=0 failed=0
: >"$out/summary.txt"

# One line of the summary, on the screen too.
note() { printf '%s\n' "$*" | tee -a "$out/summary.txt"; }

# step NAME SECONDS LOG COMMAND...: the command's output goes to LOG as it comes, its end to the screen as well. No step has more
# than what is left of the time of all.
step() {
  local name=$1 limit=$2 log=$3 start=$SECONDS status=0 before
  shift 3
  limit=$((limit < total - SECONDS - 5 ? limit : total - SECONDS - 5))
  if ((limit < 1)); then
    failed=$((failed + 1))
    note "FAIL  $name (no time left)"
    return 1
  fi
  printf '== %s\n' "$name" >>"$log"
  before=$(wc -c <"$log")
  timeout --kill-after=5 "$limit" "$@" >>"$log" 2>&1 || status=$?
  tail -c +"$((before + 1))" "$log" | tail -n 12
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
  [[ ! -e $bin/build.txt ]] || cat "$bin/build.txt"
  local built
  for built in "${programs[@]}"; do timeout 5 ldd "$bin/$built"; done
  [[ $device == cuda ]] || return 0
  local card=name,driver_version,power.limit,clocks.sm,clocks.mem,clocks.max.sm,temperature.gpu
  local state=ecc.mode.current,mig.mode.current,persistence_mode,clocks_event_reasons.active
  timeout 5 nvidia-smi
  timeout 5 nvidia-smi --query-gpu="$card" --format=csv
  timeout 5 nvidia-smi --query-gpu="$state" --format=csv
  timeout 5 nvidia-smi --query-compute-apps=pid,used_memory --format=csv
}

# Without a GPU the tests say that they skip, and pass. One after another: two launches that each want the whole GPU for
# themselves had better not meet.
kernels() {
  "$bin/device" --nocapture --test-threads 1 "$@" | tee "$work/kernels"
  ! grep -q skipped "$work/kernels" || return 1
}

# Only some of them under a sanitizer: a kernel takes a hundred times as long, and a wait too. It looks into the program that
# it starts itself, so nothing may stand between them.
sanitize() {
  local options=(--tool "$1" --error-exitcode 9)
  # a driver asked for something that it does not have is no access to memory
  [[ $1 != memcheck ]] || options+=(--report-api-errors no)
  PCNBENCH_PATIENCE_SECONDS=300 PCNBENCH_DEVICE_CASES=12 "$sanitizer" "${options[@]}" \
    "$bin/device" --nocapture --test-threads 1 calls_do primitives_do calls_in_one
}

# One launch of each of four kernels, from a run of the ladder. The clock stays as it is.
profile() {
  "$profiler" --set full --clock-control none --launch-count 4 --target-processes all \
    --kernel-name 'regex:^(relax_predict_f32|relax_pull_f32|persistent_spc|persistent_sweep)' --kernel-id ':::1' \
    "$bin/ladder" --first
}

# A case that is not there, or none that ran, is no success.
verify() {
  "$program" verify --cases tests/cases --engine "$1" --device "$device" --dtype "$2" | tee "$work/cases"
  grep -qE '^[1-9][0-9]* passed, 0 failed' "$work/cases"
}

ladder() { "$bin/ladder" "$@" | tee "$out/ladder.csv"; }
claims() { "$bin/claims" | tee "$out/claims.csv"; }
trace() { "$bin/trace" | tee "$out/trace.csv"; }

# Six points: samples take that long at each, energy up to as long again, and half a minute of warming up comes on top.
depth() {
  local extent=()
  [[ $device == cuda ]] || extent=(--max-depth 16)
  "$program" run benches/suites/fused-depth.toml --device "$device" --max-seconds "${GPU_CHECK_SECONDS:-5}" \
    --results "$work/results" "${extent[@]}"
}

# contender LIBRARY OPTION...: rows are added to one table as they come, under one head.
contender() {
  local head=cat
  [[ ! -s $out/contenders.csv ]] || head='sed -u 1d'
  python3 "contenders/$1_spc.py" --device "$device" "${@:2}" | $head | tee -a "$out/contenders.csv"
}

# Like with like: a row that has no like in the ladder or among the claims has no ratio.
ratios() {
  local beside=()
  [[ ! -s $out/ladder.csv ]] || beside+=(--ladder "$out/ladder.csv")
  [[ ! -s $out/claims.csv ]] || beside+=(--claims "$out/claims.csv")
  python3 contenders/ratios.py "${beside[@]}" "$out/contenders.csv" | tee "$out/ratios.csv"
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
export -f doctor kernels verify sanitize profile ladder claims trace contender ratios depth pack
tools=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin:/usr/local/cuda/bin
sanitizer=$(PATH=$tools command -v compute-sanitizer) profiler=$(PATH=$tools command -v ncu)
export program bin device out work sanitizer profiler
strict=(bash -euo pipefail -c)

# contenders SECONDS OPTION...: both programs, each with that limit, then their times over the fused engine's. An option that begins
# with `torch` or `jax` is for that program only.
contenders() {
  local library option options limit=$1
  for library in torch jax; do
    if ! python3 -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$library') is None)" 2>/dev/null; then
      note "skip  the rules in $library: it is not installed"
      continue
    fi
    options=''
    for option in "${@:2}"; do
      case $option in
        "$library "*) options+=" ${option#* }" ;;
        --*) options+=" $option" ;;
      esac
    done
    step "the rules in $library" "$limit" "$work/$library.txt" "${strict[@]}" "contender $library$options"
    sed -n 's/^\(# \|error: \)/      &/p' "$work/$library.txt" | tee -a "$out/summary.txt"
  done
  [[ $device == cuda && -s $out/contenders.csv ]] || return 0
  step "their times over the fused engine" 5 "$work/ratios.txt" "${strict[@]}" ratios
  # what, rule, depth, tf32, the fastest of them, ratio
  awk -F, '$12 == "yes" { printf "      %s of %s, depth %s, tf32 %s: %s takes %s times as long\n", $1, $2, $3, $4, $7, $9 }' \
    "$out/ratios.csv" | tee -a "$out/summary.txt"
}

first() {
  step "kernels: building blocks" 20 "$out/kernels.txt" "${strict[@]}" \
    "kernels primitives_do shared_memory every_kernel what_a_gpu"
  PCNBENCH_DEVICE_CASES=60 step "kernels: calls" 45 "$out/kernels.txt" "${strict[@]}" \
    "kernels calls_do calls_in_one call_after operands_are"
  # what came before may have failed: these times are what a start on a GPU is for
  step "every strategy, short" 45 "$work/ladder.txt" "${strict[@]}" "ladder --first"
  step "phases of a step" 10 "$work/trace.txt" "${strict[@]}" trace
  # they end by themselves after 17 s
  contenders 22 --first
  if [[ -n $profiler ]]; then
    step "profile of four kernels" 45 "$out/ncu.txt" "${strict[@]}" profile
  else
    note "skip  profile of four kernels: ncu is not installed"
  fi
  # last, because it is what could hang
  PCNBENCH_DEVICE_CASES=12 step "kernels: deep nets in one launch, three times" 20 "$out/kernels.txt" "${strict[@]}" \
    "for i in 1 2 3; do kernels a_deep_net; done"
}

full() {
  local dtype tool
  if [[ $device == cuda ]]; then
    step "every strategy" 60 "$work/ladder.txt" "${strict[@]}" ladder
    step "kernels" 50 "$out/kernels.txt" "${strict[@]}" kernels
  fi
  for dtype in f64 f32; do
    step "conformance cases and differential tests in $dtype" 15 "$out/verify.txt" "${strict[@]}" "verify fused $dtype"
  done
  if [[ $device == cuda ]]; then
    step "claims" 90 "$work/claims.txt" "${strict[@]}" claims
    # how many bounds hold is no matter of passing or failing, but belongs into the summary
    sed -n 's/^# /      /p' "$work/claims.txt" | tee -a "$out/summary.txt"
  fi
  step "suite fused-depth" 95 "$out/depth.txt" "${strict[@]}" depth
  step "its record, read again" 10 "$work/pack.txt" "${strict[@]}" pack
  [[ $device == cuda ]] || return 0
  # beside the claims of this very run; only of what the steps before did not use
  if ((total - SECONDS > 60)); then
    contenders 25 '--rules spc' '--depths 8 32 128' 'torch --variants stacked-captured stacked-compiled --budget 20' \
      'jax --variants stacked-unrolled --budget 17'
  else
    note "skip  the rules in PyTorch and JAX beside the claims: no time left"
  fi
  for tool in memcheck racecheck; do
    if [[ -z $sanitizer ]]; then
      note "skip  $tool of the kernels: compute-sanitizer is not installed"
    elif [[ $tool == memcheck ]]; then
      # half of what is left
      step "$tool of the kernels" $(((total - SECONDS) / 2)) "$out/kernels.txt" "${strict[@]}" "sanitize $tool"
    else
      step "$tool of the kernels" "$total" "$out/kernels.txt" "${strict[@]}" "sanitize $tool"
    fi
  done
}

rm -f "$out"/{facts,kernels,verify,depth,ncu}.txt "$out"/{claims,ladder,trace,contenders,ratios}.csv "$out/record.tar.gz"
# Programs of another commit measure something else than the suites and cases beside them say.
built=$(sed -n 's/^commit //p' "$bin/build.txt" 2>/dev/null)
here=$(git rev-parse HEAD 2>/dev/null)
if [[ $device == cuda && -n $here && $built != "$here" ]]; then
  note "note  gpu-bin was built of commit ${built:-unknown}, this checkout is at $here"
fi

if step "what the machine has" 60 "$out/facts.txt" "${strict[@]}" doctor; then
  facts >>"$out/facts.txt" 2>&1
  if [[ $part == full ]]; then
    full
  elif [[ $device == cuda ]]; then
    first
  else
    contenders 60 '--first' '--rules bp' '--depths 4' '--seconds 0.01' '--budget 50'
    note "skip  what needs a card, which is the rest of \`first\`"
  fi
fi

note "$passed passed, $failed failed"
((failed == 0))
