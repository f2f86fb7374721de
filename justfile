# Every task of the project; `just` alone lists them. What a task does is in the script or command it calls,
# so none of them needs `just`.

# List the tasks
default:
    @just --list --unsorted

# Measure a suite and draw it; with nothing more, `quick`
run *arguments:
    cargo run --release -- run {{arguments}}

# Everything that must hold before a change lands; names of steps run only those
check *steps:
    .ci/run {{steps}}

# The tests
test *arguments:
    cargo test --workspace {{arguments}}

# Format the code
format:
    cargo fmt --all
    rustfmt --edition 2024 src/net/architecture/*.rs

# Lints, as errors
clippy: (check "clippy")

# The documentation of the code, in a browser
docs:
    cargo doc --workspace --no-deps --open

# Conformance cases against the rules
verify *arguments:
    cargo run --release -- verify {{arguments}}

# Closed formulas for work and critical path against counts
bounds suite="quick":
    cargo run --release -- bounds {{suite}} --verify

# A small suite against the committed baseline
gate *arguments:
    cargo run --release -- gate {{arguments}}

# Whether the gate finds an artificial slowdown of 5 % on this machine, and nothing else (half an hour and more)
gate-trials *arguments:
    scripts/gate-trials.sh {{arguments}}

# Whether two runs of `quick`, an hour apart, agree on this machine: the folders of both records
agreement base new:
    scripts/agreement.sh {{base}} {{new}}

# What this build and this machine can do
doctor:
    cargo run --release -- doctor

# Put the headline of a record into README.md
readme record:
    cargo run --release -- report {{record}} --splice README.md

# Compile the feature that downloads data sets (hundreds of dependencies; minutes)
hub: (check "hub")

# The CUDA kernels on the CPU, with every mutant and under AddressSanitizer
emulator: (check "emulator")

# The PyTorch and JAX programs against their reference; where neither is installed, the reference against equations
contenders: (check "contenders")

# Compile the CUDA kernels, and nothing else, with the pinned compiler
cuda-kernels: (check "cuda-kernels")

# The criterion benches; `-- --quick` for a glance, `-- --save-baseline NAME` to compare later
bench *arguments:
    cargo bench {{arguments}}

# The fused engine under a sanitizer: address or thread
sanitize sanitizer="address":
    scripts/sanitize.sh {{sanitizer}}

# Type-check the CUDA code, without a toolkit
cuda-types: (check "cuda-types")

# Fetch a CUDA compiler into .cuda/, without root, and print its environment
cuda-toolkit:
    scripts/cuda-toolkit.sh

# Build what gpu-check runs, on a machine without a GPU
gpu-build *arguments:
    scripts/gpu-build.sh {{arguments}}

# On a machine with a GPU: kernels, conformance, claims, ladder, the suite `fused-depth`, sanitizers; needs gpu-bin.tar.xz
gpu-check:
    scripts/gpu-check.sh
