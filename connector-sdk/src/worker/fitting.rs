//! Refusing here what the controller would refuse: payloads over its limit. What is refused by the one who made it
//! has a name and ends; what is sent and refused is sent again.

use fulcrum_proto::{common::v1::Payload, worker::v1::ParkedOperation};

use crate::{Failure, Sent, code};

/// Lets a payload through that has at most `bytes_max` bytes.
pub(super) fn fit(what: &str, payload: &Payload, bytes_max: usize) -> Result<(), Failure> {
    let bytes = payload.data.len();
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!("{what} has {bytes} bytes, {bytes_max} are allowed; pass a reference");
    Err(Failure::fatal(code::PAYLOAD_TOO_LARGE, message).sent(Sent::Yes))
}

/// Lets an operation through whose payload, if it has one, fits.
pub(super) fn fit_parked(parked: &ParkedOperation, bytes_max: usize) -> Result<(), Failure> {
    let what = format!("what {:?} hands over", parked.name);
    let payload = parked.payload();
    payload.map_or(Ok(()), |payload| fit(&what, payload, bytes_max))
}
