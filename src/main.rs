//! The program: everything is in [`pcnbench::cli`].

/// Counts allocations when it is asked to; see [`pcnbench::measure::exact`].
#[global_allocator]
static ALLOCATOR: pcnbench_kernels::alloc::Counting = pcnbench_kernels::alloc::Counting;

fn main() -> std::process::ExitCode {
    pcnbench::cli::main()
}
