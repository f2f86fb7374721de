#!/usr/bin/env bash
# The kernels' unit tests and the tests of the fused engine on the CPU, under a sanitizer:
#
#   scripts/sanitize.sh address    out-of-bounds, use after free, leaks
#   scripts/sanitize.sh thread     data races; builds the standard library too, so that its locks are seen
#
# Sanitizers are unstable flags of the compiler, which RUSTC_BOOTSTRAP opens on a stable one. `thread` needs the
# standard library's source (`rustup component add rust-src`). What is built goes into its own part of the target folder.
# Exit code 77: this toolchain or machine cannot, and the last line says why.
set -euo pipefail

sanitizer=${1:-}
[[ $sanitizer == address || $sanitizer == thread ]] || {
  echo "usage: scripts/sanitize.sh address|thread" >&2
  exit 1
}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

unable() {
  echo "sanitize: $*" >&2
  exit 77
}

target=x86_64-unknown-linux-gnu
sysroot=$(rustc --print sysroot)
runtime=$sysroot/lib/rustlib/$target/lib
[[ $(rustc -vV) == *"host: $target"* ]] || unable "only $target is known to work here"
runtimes=("$runtime"/librustc*_rt.*san.a)
[[ -e ${runtimes[0]} ]] || unable "this toolchain has no sanitizer runtimes in $runtime"

export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=$sanitizer ${RUSTFLAGS:-}"
# An out-of-bounds read within a panicking test would else be reported as the panic's.
export RUST_BACKTRACE=0
build=()
if [[ $sanitizer == thread ]]; then
  [[ -d $sysroot/lib/rustlib/src/rust/library ]] ||
    unable "the standard library's source is missing; \`rustup component add rust-src\` brings it"
  build=(-Zbuild-std)
  # One report is enough.
  export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
fi

cargo test "${build[@]}" --target "$target" --target-dir "${CARGO_TARGET_DIR:-target}/sanitize-$sanitizer" \
  --package pcnbench-kernels --lib --test fused "${@:2}"
