#!/usr/bin/env bash
# Builds, on a machine without a GPU, what scripts/gpu-check.sh runs on a machine with one:
#
#   scripts/gpu-build.sh [OPTION OF cargo build...]
#
# leaves, stripped, gpu-bin/pcnbench, gpu-bin/device, the tests of the kernels on a GPU, gpu-bin/ladder, their timings
# strategy by strategy, gpu-bin/claims, what is claimed of them, gpu-bin/trace, which says where the time of a step goes, and
# gpu-bin/build.txt, which says what they are and of which
# commit; and all of it in gpu-bin.tar.xz. That file, a fifth as large, is what travels. The target is a Hopper GPU;
# CUDA_COMPUTE_CAP=80 makes one for Ampere and everything later. It needs what scripts/cuda-toolkit.sh needs and nothing
# that belongs to a GPU.
#
# The program is linked like any other: it needs an NVIDIA driver (libcuda.so.1) and the libraries of
# CUDA 13 (cuBLAS, cuRAND, NVRTC) where it runs, and a glibc no older than this machine's. Where one is
# missing the system's loader refuses to start it and names the library.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
toolkit=$(scripts/cuda-toolkit.sh)
eval "$toolkit"

cargo build --locked --release --features cuda "$@"

program=${CARGO_TARGET_DIR:-target}/release/pcnbench
mkdir -p gpu-bin
strip -o gpu-bin/pcnbench.part "$program"
mv gpu-bin/pcnbench.part gpu-bin/pcnbench

# made COMMAND NAME: cargo names these programs after a hash, and says which one it made.
made() {
  local program
  program=$(cargo "$1" --locked --package pcnbench-kernels --features cuda "--$1" "$2" --no-run "${@:3}" \
    --message-format json | python3 -c '
import json, sys
made = [m.get("executable") for m in map(json.loads, sys.stdin) if m.get("target", {}).get("name") == sys.argv[1]]
print(next(path for path in made if path))' "$2")
  strip -o "gpu-bin/$2.part" "$program"
  mv "gpu-bin/$2.part" "gpu-bin/$2"
}
made test device --release
made bench ladder
made bench claims
# last, because its kernels are compiled anew: what writes clocks down must not be what is timed
made bench trace --features trace

# What the system and the libraries of CUDA 13 have, and nothing else, may be needed where these run.
allowed='^(lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+)\.so\..*|ld-linux.*|libcuda\.so\.1|lib(cublas|cublasLt|curand|nvrtc|cudart)\.so\.1[0-9])$'
for built in pcnbench device ladder claims trace; do
  if unknown=$(objdump -p "gpu-bin/$built" | awk '$1 == "NEEDED" { print $2 }' | grep -vE "$allowed"); then
    echo "gpu-build: gpu-bin/$built needs ${unknown//$'\n'/, }, which a machine with a card need not have" >&2
    exit 1
  fi
done

# What can be tried here: it starts, knows its features, and says in one sentence that there is no GPU.
loadable=$CUDA_HOME/lib/stubs/loadable
LD_LIBRARY_PATH=$loadable gpu-bin/pcnbench doctor >gpu-bin/build.txt
grep -q '^ *features *cuda' gpu-bin/build.txt || { echo "gpu-build: built without feature cuda" >&2; exit 1; }
status=0
refusal=$(LD_LIBRARY_PATH=$loadable gpu-bin/pcnbench verify --device cuda 2>&1) || status=$?
if [[ $status -ne 1 || $refusal != "error: device \`cuda\` is not available: "* || $refusal == *$'\n'* ]]; then
  printf 'gpu-build: without a card it should refuse in one sentence with exit code 1; it gave %s and:\n%s\n' \
    "$status" "$refusal" >&2
  exit 1
fi

cat >>gpu-bin/build.txt <<END

compute capability $CUDA_COMPUTE_CAP
needs $(objdump -p gpu-bin/{pcnbench,device,ladder,claims,trace} | awk '$1 == "NEEDED" { print $2 }' | sort -u | paste -sd ' ')
needs $(objdump -T gpu-bin/pcnbench | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -1)
sha256 $(sha256sum gpu-bin/pcnbench | cut -d' ' -f1)
commit $(git rev-parse HEAD 2>/dev/null || echo unknown)
END
# with a window over all programs, which have most of their kernels in common
tar -c gpu-bin | xz --lzma2=preset=6,dict=128MiB >gpu-bin.tar.xz.part
bytes=$(stat -c %s gpu-bin.tar.xz.part)
if ((bytes > 36 << 20)); then
  echo "gpu-build: gpu-bin.tar.xz would have $bytes bytes; expected at most 36 MiB, since more may not travel" >&2
  exit 1
fi
mv gpu-bin.tar.xz.part gpu-bin.tar.xz
echo "gpu-build: gpu-bin.tar.xz, $(stat -c %s gpu-bin.tar.xz) bytes; gpu-bin/pcnbench, $(stat -c %s gpu-bin/pcnbench) bytes, for compute capability $CUDA_COMPUTE_CAP"
