//! The campaign of every day.

mod campaign;
