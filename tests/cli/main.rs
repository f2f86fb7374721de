//! Oracle: the person at the keyboard. Every subcommand does what its help says, and every bad input gets
//! one clear sentence, a documented exit code, no panic and nothing half-written.

mod bad_cases;
mod bad_data;
mod bad_drawings;
mod bad_graphs;
mod bad_places;
mod bad_suites;
mod comparing;
mod damaged;
mod denormals;
mod diverging;
mod drawing;
mod explaining;
#[cfg(unix)]
mod file_size;
mod gating;
mod killed;
mod limits;
mod memory;
mod mutants;
#[cfg(unix)]
mod outputs;
mod printing;
mod records;
mod resuming;
mod session;
mod shards;
mod starved;
mod stopped;
mod streams;
mod studying;
mod threads;
mod training;
mod tuning;
mod usage;

#[path = "../support/idx.rs"]
mod idx;
#[path = "../support/xml.rs"]
mod xml;
