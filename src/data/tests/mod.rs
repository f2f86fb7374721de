//! Tests of the data module, one file per file of it.

#[path = "../../../tests/support/idx.rs"]
mod writer;

mod augment;
mod batches;
mod cifar;
mod cifar_limits;
mod cifar_mutated;
mod dataset;
mod digits;
mod idx;
mod idx_mutated;
mod kind;
mod synthetic;
mod text;

/// The message of an outcome that must be an error.
fn message<T>(outcome: crate::Result<T>) -> String {
    match outcome {
        Ok(_) => panic!("expected an error"),
        Err(error) => error.to_string(),
    }
}
