#!/usr/bin/env bash
# A weight update of VGG-5, width 128 and batch 64: the fused CPU engine beside PyTorch, and beside the time that its products take
# at the measured reference rate of this machine.
#
#   scripts/vgg-beside-torch.sh OUT [TIMES]    # 5 times unless told otherwise, about a minute each
#
# In turn, TIMES times: contenders/torch_vgg.py in both orders of an image in memory, and benches/suites/vgg.toml, BP and sPC with one to
# nine steps. OUT/vgg-beside-torch.txt has the medians of the turns and every turn's ratio; PyTorch's is its faster order.
# "step" is an eighth of what nine steps take more than one.
#
#   PCNBENCH=path/to/pcnbench    use this program instead of building one
#   PYTHON=path/to/python3       the one that has PyTorch
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
  "${PYTHON:-python3}" contenders/torch_vgg.py --threads "$threads" >"$out/torch-$i.csv"
  rm -rf "$out/run-$i"
  "$PCNBENCH" run benches/suites/vgg.toml --threads "$threads" --no-plots --format csv --out "$out/run-$i" >"$out/rows-$i.csv"
done

python3 - "$out" "$times" "$threads" <<'PY' | tee "$out/vgg-beside-torch.txt"
import csv, statistics, sys

out, times, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
turns, library = [], None
for turn in range(1, times + 1):
    with open(f"{out}/torch-{turn}.csv") as f:
        torch = list(csv.DictReader(f))
    library = f"{torch[0]['library']} {torch[0]['version']}"
    with open(f"{out}/run-{turn}/summary.csv") as f:
        rows = {(row["rule"], int(row["steps"])): row for row in csv.DictReader(f)}
    with open(f"{out}/rows-{turn}.csv") as f:
        share = {(row["contender"].split("/")[0], int(row["steps"])): float(row["of_reference"]) for row in csv.DictReader(f)}
    bp, one, nine = rows["bp", 0], rows["spc", 1], rows["spc", 9]
    assert int(bp["gemm_flops"]) == int(torch[0]["gemm_flops"]), "the programs do not update the same network"
    own = {name: int(row["median_ns"]) for name, row in [("bp", bp), ("one", one), ("nine", nine)]}
    # products at the reference rate, from the share that the record says
    products = {name: own[name] * share[key] for name, key in [("bp", ("bp", 0)), ("one", ("spc", 1)), ("nine", ("spc", 9))]}
    turns.append({
        "PyTorch, ms": min(int(row["median_ns"]) for row in torch) * 1e-6,
        "BP, ms": own["bp"] * 1e-6,
        "PyTorch / BP": min(int(row["median_ns"]) for row in torch) / own["bp"],
        "BP / its products": own["bp"] / products["bp"],
        "sPC step, ms": (own["nine"] - own["one"]) / 8 * 1e-6,
        "sPC step / its products": (own["nine"] - own["one"]) / (products["nine"] - products["one"]),
    })

print(f"# VGG-5, width 128, batch 64, {threads} threads: the fused CPU engine beside {library}; scripts/vgg-beside-torch.sh")
print(f"{'':<24} {'median':>7}  by turn")
for name in turns[0]:
    values = [turn[name] for turn in turns]
    digits = 0 if name.endswith("ms") else 2
    print(f"{name:<24} {statistics.median(values):7.{digits}f}  " + " ".join(f"{v:.{digits}f}" for v in values))
PY
