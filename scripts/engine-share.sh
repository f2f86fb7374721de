#!/usr/bin/env bash
# What the fused CPU engine reaches of a vendor library's matrix product of the size of its layers, width 128 and batch 64:
#
#   scripts/engine-share.sh OUT [TIMES]    # 5 times unless told otherwise, about 2 minutes each
#
# In turn, TIMES times: scripts/vendor_gemm.py (PyTorch or MKL, which must be installed) measures all forms of the product, and the program
# updates of BP, sPC and ePC on muPC networks of 32, 64 and 128 layers at T = L, both on one thread and on all. FLOPs are those of
# the products that the light cone leaves. OUT/engine-share.txt has, per number of threads, rule and depth, the rate of the
# median update and that of the fastest, each over the library's best form in the same turn: medians of the turns, and the
# rates of the fastest of all. Where other machines share the processors, medians tell of those, the fastest of the programs.
#
#   PCNBENCH=path/to/pcnbench    use this program instead of building one
#   PYTHON=path/to/python3       the one that has the library
set -euo pipefail

if [[ $# -lt 1 || $# -gt 2 ]]; then
  sed -n '2,/^set/ s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 1
fi
mkdir -p "$1"
out=$(cd "$1" && pwd) times=${2:-5}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ -z ${PCNBENCH:-} ]]; then
  cargo build --release
  PCNBENCH=${CARGO_TARGET_DIR:-target}/release/pcnbench
fi

threads=$(nproc)
for ((i = 1; i <= times; i++)); do
  "${PYTHON:-python3}" scripts/vendor_gemm.py --threads 1 "$threads" >"$out/vendor-$i.csv"
  rm -rf "$out/run-$i"
  "$PCNBENCH" run benches/suites/engine-share.toml --threads "$threads" --no-plots --format csv --out "$out/run-$i" >/dev/null
done

python3 - "$out" "$times" "$threads" <<'PY' | tee "$out/engine-share.txt"
import csv, statistics, sys

out, times, all_threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
vendor, engine, library = {}, {}, None  # (median, fastest) GFLOP/s per turn
for turn in range(1, times + 1):
    with open(f"{out}/vendor-{turn}.csv") as f:
        for row in csv.DictReader(f):
            library = f"{row['library']} {row['version']}"
            rates = vendor.setdefault(int(row["threads"]), {}).setdefault(turn, [0.0, 0.0])
            rates[:] = [max(rates[0], float(row["gflops"])), max(rates[1], float(row["fastest"]))]
    with open(f"{out}/run-{turn}/summary.csv") as f:
        for row in csv.DictReader(f):
            threads = 1 if row["contender"].endswith(":1") else all_threads
            key = (threads, row["rule"], int(row["depth"]))
            flops = int(row["gemm_flops"])
            engine.setdefault(key, {})[turn] = (flops / int(row["median_ns"]), flops / int(row["min_ns"]))

print(f"# fused engine over the best 64x128x128 product of {library}, {times} turns; scripts/engine-share.sh")
for threads, rates in vendor.items():
    medians = ", ".join(f"{median:.0f}" for median, _ in rates.values())
    print(f"# {threads} threads: the library's best form, GFLOP/s: {medians} by turn; fastest {max(f for _, f in rates.values()):.0f}")
print(f"{'threads':>7} {'rule':<4} {'L':>3} {'median':>7} {'fastest':>7} {'GFLOP/s of the fastest':>22}")
for (threads, rule, depth), rates in sorted(engine.items(), key=lambda item: (item[0][0], item[0][2])):
    of = vendor[threads]
    median = statistics.median(rates[turn][0] / of[turn][0] for turn in rates)
    best = max(fastest for _, fastest in rates.values())
    share = best / max(fastest for _, fastest in of.values())
    print(f"{threads:>7} {rule:<4} {depth:>3} {median:7.0%} {share:7.0%} {best:22.0f}")
PY
