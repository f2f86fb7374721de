//! Oracle: the file formats. What is written must be read back, whatever happened in between, and what
//! is committed must follow from its own samples.

mod circles;
mod claims;
mod committed;
mod documents;
mod record;
mod structure;
