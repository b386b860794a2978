//! The real binary, without a controller: help, usage, contexts, exit codes, and the manual.

mod manual;
mod program;
mod surface;
