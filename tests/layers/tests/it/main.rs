//! The layers of Fulcrum, compared with what cargo says.

mod layers;
mod manifests;
mod one_version;
