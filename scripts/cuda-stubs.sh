#!/usr/bin/env bash
# Makes libraries to link against in place of NVIDIA's driver, cuBLAS, cuRAND and NVRTC:
#
#   scripts/cuda-stubs.sh DIR
#
# Linking needs the names a library offers and the name it is loaded by, not what is in it. That saves
# most of a gigabyte of downloads, and a driver is installed only with a GPU. The program built this way
# is an ordinary one: where it runs, the system's loader finds the real libraries by the same names. Every
# function of a stub only says that it failed, so a program that loads one by accident has no GPU.
#
# The names are those that cudarc, at the version in Cargo.lock, declares.
set -euo pipefail

folder=${1:?usage: scripts/cuda-stubs.sh DIR}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# cudarc's folder : library to link : name it is loaded by : what its functions return
libraries=(
  driver:cuda:libcuda.so.1:34 # CUDA_ERROR_STUB_LIBRARY
  cublas:cublas:libcublas.so.13:1
  cublaslt:cublasLt:libcublasLt.so.13:1
  curand:curand:libcurand.so.10:101
  nvrtc:nvrtc:libnvrtc.so.13:7
)

# Printed by cargo rather than guessed: the registry may be anywhere, or a vendored folder.
source=$(cd "$root" && cargo metadata --locked --format-version 1 --features cuda | python3 -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(os.path.dirname(next(p["manifest_path"] for p in packages if p["name"] == "cudarc")))')

stamp=$folder/made-from
if [[ -f $stamp && $(<"$stamp") == "$source" && $stamp -nt ${BASH_SOURCE[0]} ]]; then
  exit 0
fi

rm -rf "$folder"
mkdir -p "$folder/loadable"
for library in "${libraries[@]}"; do
  IFS=: read -r part name soname status <<<"$library"
  # Declared as `fn NAME(` inside `extern "C" {`, and wrapped in a `pub unsafe fn` that is not matched.
  names=$(sed -nE 's/^ +fn ([A-Za-z0-9_]+)\(.*/\1/p' "$source/src/$part/sys/mod.rs" | sort -u)
  [[ -n $names ]] || { echo "cuda-stubs: no functions found in $source/src/$part" >&2; exit 1; }
  while read -r function; do
    echo "int $function(void) { return $status; }"
  done <<<"$names" |
    "${CC:-cc}" -x c -O1 -fPIC -shared -nostdlib -Wl,-soname,"$soname" -o "$folder/lib$name.so" -
  ln -s "../lib$name.so" "$folder/loadable/$soname"
done

# The runtime is in the toolkit, without the unversioned name that the linker looks for.
ln -sfn ../libcudart.so.13 "$folder/libcudart.so"
printf %s "$source" >"$stamp"
echo "cuda-stubs: ${#libraries[@]} libraries in $folder" >&2
