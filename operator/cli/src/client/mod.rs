//! The operator's end of the contract.
//!
//! - [`connection`]: one authenticated channel and the services on it.
//! - [`patience`]: calls that are refused for now are made again.
//! - [`refusal`]: a failed call, read once, here.
//! - [`advice`]: what to do about each reason of refusal.
//! - [`follow`], [`events`], [`batch`], [`decide`], [`enrolment`]: what takes more than one call.
//! - [`payload`]: JSON in and out of payloads; [`transfer`]: those that are too large for a message; [`request_id`]: ids that make a repeated call harmless.

pub mod advice;
pub mod batch;
pub mod connection;
pub mod decide;
pub mod enrolment;
pub mod events;
pub mod follow;
pub mod patience;
pub mod payload;
pub mod refusal;
pub mod request_id;
pub mod transfer;
