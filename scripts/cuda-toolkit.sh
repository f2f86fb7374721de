#!/usr/bin/env bash
# Puts a pinned CUDA 13.0 compiler into .cuda/, without root and without a GPU, and prints the environment
# that builds with it:
#
#   eval "$(scripts/cuda-toolkit.sh)" && cargo build --release --features cuda
#
# It needs python3 with pip, a C compiler and cargo; about 100 MB are downloaded once. What is printed
# goes to standard output, everything else to standard error. `rm -r .cuda` undoes it.
#
# CUDA_COMPUTE_CAP (default 90, for Hopper alone) chooses the GPUs Candle's own kernels are built for: 80
# runs on Ampere and everything later.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
place=$root/.cuda
home=$place/nvidia/cu13

# All five are pinned: the compiler does not pin the other four, and a newer code generator among them
# writes PTX that a driver of CUDA 13.0 refuses.
wheels=(
  nvidia-cuda-nvcc==13.0.88
  nvidia-cuda-crt==13.0.88
  nvidia-nvvm==13.0.88
  nvidia-cuda-runtime==13.0.96
  nvidia-cuda-cccl==13.0.85
)

say() { echo "cuda-toolkit: $*" >&2; }

fetch() {
  python3 -m pip --version >/dev/null || { say "needs python3 with pip"; exit 1; }
  say "downloading ${wheels[*]}"
  rm -rf "$place" "$place.part"
  # An interrupted download must not look like a toolkit.
  python3 -m pip install --quiet --no-deps --only-binary=:all: --target "$place.part" "${wheels[@]}" >&2
  mv "$place.part" "$place"
  # nvcc links host code from lib64; the wheel has lib.
  ln -sfn lib "$home/lib64"
}

[[ -x $home/bin/nvcc ]] || fetch
release=$("$home/bin/nvcc" --version)
[[ $release == *"release 13.0,"* ]] || { say "$home/bin/nvcc is not release 13.0; remove $place"; exit 1; }
"$root/scripts/cuda-stubs.sh" "$home/lib/stubs" >&2

cat <<END
export CUDA_HOME='$home'
export NVCC='$root/scripts/nvcc-lean'
export CUDARC_CUDA_VERSION=13000
export CUDA_COMPUTE_CAP='${CUDA_COMPUTE_CAP:-90}'
END
