#!/usr/bin/env bash
# What nvcc made of the kernels, read off the machine code for one card:
#
#   scripts/sass.sh [--check | --write] [CARD]
#
# builds the kernels with scripts/cuda-toolkit.sh's compiler, disassembles them for CARD (90) and prints a table with one line per
# kernel, whose columns scripts/sass.py explains. --write makes it kernels/machine-code.csv; --check ends with exit code 1 where
# there is more of anything than that table has, and 3 where its tools cannot be downloaded. Two programs of the CUDA toolkit are downloaded once, 6 MB, into .cuda/sass; it
# needs no card.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
table=kernels/machine-code.csv
check=() write=
case ${1:-} in
--check) check=(--check "$table") && shift ;;
--write) write=$table && shift ;;
esac
card=${1:-90}

toolkit=$(scripts/cuda-toolkit.sh)
eval "$toolkit"
# They read code of every compiler before them; of release 13.0 there are none to download.
tools=(nvidia-cuda-cuobjdump==13.2.51 nvidia-cuda-nvdisasm==13.2.51)
place=$PWD/.cuda/sass
if [[ ! -d $place ]]; then
  rm -rf "$place.part"
  for tool in "${tools[@]}"; do
    python3 -m pip install --quiet --no-deps --only-binary=:all: --target "$place.part/${tool%%=*}" "$tool" >&2 ||
      { echo "sass: $tool cannot be downloaded" >&2; exit 3; }
  done
  mv "$place.part" "$place"
fi
for tool in "${tools[@]}"; do PATH=$place/${tool%%=*}/nvidia/cu13/bin:$PATH; done

cargo build --quiet --locked --package pcnbench-kernels --features fatbin
built=$(find "${CARGO_TARGET_DIR:-target}/debug/build" -path '*/pcnbench-kernels-*/out/usage.txt' -size +0 -printf '%T@ %h\n' |
  sort -n | tail -n 1)
built=${built#* }
[[ -n $built ]] || { echo "sass: the build left no kernels" >&2; exit 1; }
built=$(realpath "$built")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for image in "$built"/*.fatbin; do
  (cd "$work" && cuobjdump -xelf "sm_$card" "$image" >/dev/null)
done
cubins=("$work"/*.cubin)
[[ -e ${cubins[0]} ]] || { echo "sass: the kernels are not built for sm_$card" >&2; exit 1; }
for cubin in "${cubins[@]}"; do nvdisasm -c "$cubin"; done | python3 scripts/sass.py "${check[@]}" | tee "$work/table.csv"
[[ -z $write ]] || cp "$work/table.csv" "$write"
