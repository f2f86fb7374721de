#!/usr/bin/env bash
# What nvcc made of the kernels, read off the machine code for one GPU:
#
#   scripts/sass.sh [--check | --write | CARD]
#
# builds the kernels with scripts/cuda-toolkit.sh's compiler, disassembles them for CARD (90, whose table it is) and prints a table with one line per
# kernel, whose columns scripts/sass.py explains. --write makes it kernels/machine-code.csv; --check ends with exit code 1 where
# there is more of anything than that table has, and 3 where its tools cannot be downloaded. Two programs of the CUDA toolkit are downloaded once, 6 MB, into .cuda/sass; it
# needs no GPU.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
table=kernels/machine-code.csv
check=() write='' card=90
case ${1:-} in
--check) check=(--check "$table") ;;
--write) write=$table ;;
'' | [0-9]*) card=${1:-90} ;;
*) echo "sass: \`$1\` is none of --check, --write and a compute capability such as 80" >&2; exit 2 ;;
esac
(($# < 2)) || { echo "sass: one argument at most; the table is of compute capability 90" >&2; exit 2; }

toolkit=$(scripts/cuda-toolkit.sh)
eval "$toolkit"
# They read code of every compiler before them; of release 13.0 there are none to download.
tools=(nvidia-cuda-cuobjdump==13.2.51 nvidia-cuda-nvdisasm==13.2.51)
place=$PWD/.cuda/sass-13.2.51
if [[ ! -d $place ]]; then
  rm -rf "$place.part"
  for tool in "${tools[@]}"; do
    python3 -m pip install --quiet --no-deps --only-binary=:all: --target "$place.part/${tool%%=*}" "$tool" >&2 ||
      { echo "sass: $tool cannot be downloaded" >&2; exit 3; }
  done
  mv "$place.part" "$place"
fi
for tool in "${tools[@]}"; do PATH=$place/${tool%%=*}/nvidia/cu13/bin:$PATH; done

built=$(cargo build --quiet --locked --package pcnbench-kernels --features fatbin --message-format json | python3 -c '
import json, sys
# all of them, so that cargo can write to the end
ran = [m for m in map(json.loads, sys.stdin) if m["reason"] == "build-script-executed"]
print(next(m["out_dir"] for m in ran if "pcnbench-kernels" in m["package_id"] or "/kernels#" in m["package_id"]))')

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# what an earlier build left of sources that are gone is not in the list
grep -o '"[^"]*\.fatbin"' "$built/modules.rs" | tr -d '"' | while read -r image; do
  (cd "$work" && cuobjdump -xelf "sm_$card" "$image" >/dev/null)
done
cubins=("$work"/*.cubin)
[[ -e ${cubins[0]} ]] || { echo "sass: the kernels are not built for sm_$card" >&2; exit 1; }
for cubin in "${cubins[@]}"; do nvdisasm -c "$cubin"; done | python3 scripts/sass.py "${check[@]}" | tee "$work/table.csv"
[[ -z $write ]] || cp "$work/table.csv" "$write"
