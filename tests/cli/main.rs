//! Oracle: the person at the keyboard. Every subcommand does what its help says, and every bad input gets
//! one clear sentence, a documented exit code, no panic and nothing half-written.

mod bad_cases;
mod bad_data;
mod bad_places;
mod bad_suites;
mod comparing;
mod denormals;
mod diverging;
mod gating;
mod killed;
mod mutants;
mod printing;
mod records;
mod session;
mod shards;
mod stopped;
mod threads;
mod usage;

#[path = "../support/idx.rs"]
mod idx;
