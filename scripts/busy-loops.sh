#!/usr/bin/env bash
# What other programs on the machine do to small fused updates: measures the suite `busy` on the machine as it is, then
# again beside busy loops of equal priority, one per processor unless told otherwise:
#
#   scripts/busy-loops.sh OUT [LOOPS]    # OUT: a folder for both records, OUT/quiet and OUT/busy, and OUT/busy.txt
#
# Per point and contender, OUT/busy.txt has the median time busy over quiet, the ratio to BP busy over quiet, and the share
# of samples that the record calls contended. Exit code 0 only if no fused update takes more than 5 times its quiet time, no
# fused ratio moves by more than a factor of 1.5 either way, and every fused row measured beside the loops has contended samples.
#
#   PCNBENCH=path/to/pcnbench    use this program instead of building one
set -euo pipefail

if [[ $# -lt 1 || $# -gt 2 ]]; then
  sed -n '2,/^set/ s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 1
fi
mkdir -p "$1"
out=$(cd "$1" && pwd) loops=${2:-$(nproc)}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ -z ${PCNBENCH:-} ]]; then
  cargo build --release
  PCNBENCH=${CARGO_TARGET_DIR:-target}/release/pcnbench
fi

pids=()
trap '((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true' EXIT
measure() { "$PCNBENCH" run benches/suites/busy.toml --no-plots --format csv --out "$out/$1" >/dev/null; }

measure quiet
for ((i = 0; i < loops; i++)); do
  # a loop that ends with this script, however that ends
  bash -c 'while kill -0 "$1" 2>/dev/null; do for ((j = 0; j < 100000; j++)); do :; done; done' loop $$ &
  pids+=($!)
done
measure busy

python3 - "$out" "$loops" <<'PY' | tee "$out/busy.txt"
import csv, sys

out, loops = sys.argv[1], sys.argv[2]

def rows(record, file):
    with open(f"{out}/{record}/{file}") as f:
        return {(row["point"], row["contender"]): row for row in csv.DictReader(f)}

summary = {record: rows(record, "summary.csv") for record in ("quiet", "busy")}
ratios = {record: rows(record, "ratios.csv") for record in ("quiet", "busy")}
print(f"# median time and ratio to BP beside {loops} busy loops, over those without; scripts/busy-loops.sh")
print(f"{'L':>3} {'contender':<16} {'time':>6} {'ratio':>6} {'contended':>9}")
worst_time = worst_ratio = 0.0
unmarked = failed = 0
for key, quiet in summary["quiet"].items():
    busy = summary["busy"][key]
    if quiet["err"] or busy["err"]:
        failed += 1
        continue
    time = int(busy["median_ns"]) / int(quiet["median_ns"])
    ratio = None
    if key in ratios["quiet"] and key in ratios["busy"]:
        ratio = float(ratios["busy"][key]["ratio"]) / float(ratios["quiet"][key]["ratio"])
    share = int(busy["contended"] or 0) / int(busy["n"])
    shown = "" if ratio is None else f"{ratio:.2f}"
    print(f"{quiet['depth']:>3} {key[1]:<16} {time:6.2f} {shown:>6} {share:9.0%}")
    if "/fused" in key[1]:
        worst_time = max(worst_time, time)
        worst_ratio = max([worst_ratio] + ([ratio, 1 / ratio] if ratio else []))
        unmarked += share == 0
print(f"fused: at most {worst_time:.2f} times the quiet time, ratios within a factor of {worst_ratio:.2f}, "
      f"{unmarked} rows without a contended sample, {failed} failed rows")
sys.exit(not (worst_time <= 5 and worst_ratio <= 1.5 and unmarked == 0 and failed == 0))
PY
