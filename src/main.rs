//! The program: everything is in [`pcnbench::cli`].

fn main() -> std::process::ExitCode {
    pcnbench::cli::main()
}
