//! The real binary, without a controller: help, usage, contexts, exit codes, and the manual.

// The manual is that of the whole program.
#[cfg(feature = "dev")]
mod manual;
mod program;
mod surface;
