//! Bad input, one kind a file: each is answered with a typed error that names the place, and nothing is lost by it.

mod command_line;
mod definitions;
mod doors;
mod leases;
mod outputs;
mod requests;
mod settings;
