//! The `fulcrum` binary. Everything is in the library, so that tests can walk the command tree.

use std::process::ExitCode;

fn main() -> ExitCode {
    fulcrum::entry::main()
}
