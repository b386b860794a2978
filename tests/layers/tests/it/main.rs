//! What the repository says of itself, compared with what is there.

mod layers;
mod manifests;
mod manual;
mod one_version;
