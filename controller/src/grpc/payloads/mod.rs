//! `PayloadService`: values that come and go in pieces, and the handles that stand for them in other calls.
//!
//! [`service`] has the methods; `upload` puts a value together and stages it; `read` sends one; [`room`] bounds how many
//! do so at once and what memory they take; [`seal`] makes handles that come back as they were given out; [`handles`]
//! puts values in the place of handles in requests, and handles in the place of values in answers. Behind the latter a
//! value is as if it had come whole: nothing past this folder knows of handles.

pub mod handles;
mod read;
pub mod room;
pub mod seal;
pub mod service;
mod upload;

pub use handles::Handles;
pub use service::Payloads;
